-- Enums, domains, composite and range types of user schemas, without extensions' own.
-- Privileges: none. PostgreSQL 13 and later.
-- Source: pg_type, pg_enum, pg_constraint, pg_attribute, pg_range.
SELECT t.oid::bigint AS oid,
       n.nspname::text AS schema,
       t.typname::text AS name,
       format('%%I.%%I', n.nspname, t.typname) AS qualified,
       t.typtype::text AS kind,
       pg_get_userbyid(t.typowner)::text AS owner,
       ARRAY(SELECT e.enumlabel::text
             FROM pg_enum AS e
             WHERE e.enumtypid = t.oid
             ORDER BY e.enumsortorder) AS labels,
       CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
                      WHEN 'r' THEN format_type(r.rngsubtype, NULL) END AS base_type,
       CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation
            THEN t.typcollation::regcollation::text END AS collation,
       CASE WHEN t.typtype = 'd' THEN t.typdefault END AS default_expression,
       t.typtype = 'd' AND t.typnotnull AS not_null,
       ARRAY(SELECT format('CONSTRAINT %%I %%s', co.conname, pg_get_constraintdef(co.oid))
             FROM pg_constraint AS co
             WHERE co.contypid = t.oid AND co.contype = 'c'
             ORDER BY co.conname) AS constraints,
       ARRAY(SELECT format('%%I %%s', a.attname, format_type(a.atttypid, a.atttypmod))
             FROM pg_attribute AS a
             WHERE t.typtype = 'c' AND a.attrelid = t.typrelid
               AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum) AS attributes,
       obj_description(t.oid, 'pg_type') AS comment
FROM pg_type AS t
JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
LEFT JOIN pg_range AS r ON r.rngtypid = t.oid
LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
  AND NOT EXISTS (SELECT
                  FROM pg_depend AS d
                  WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY n.nspname, t.typname
