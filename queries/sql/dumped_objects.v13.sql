-- Every object of the user's schemas that a restore must bring back: its kind, its name, and the
-- state that matters (an index's validity, a constraint's validation, a view being populated ...).
-- Written so that it reads the same on every major version; members of extensions are left out.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class and the other catalogs named below.
WITH member AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend AS d WHERE d.deptype = 'e'
), space AS MATERIALIZED (
    SELECT n.oid, n.nspname::text AS schema
    FROM pg_namespace AS n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), relation AS MATERIALIZED (
    SELECT c.oid, s.schema, c.relname::text AS name, c.relkind::text AS kind, c.relispopulated,
           c.relrowsecurity, c.relforcerowsecurity, c.relpersistence::text AS persistence
    FROM pg_class AS c
    JOIN space AS s ON s.oid = c.relnamespace
    WHERE c.relpersistence <> 't'
      AND (c.oid) NOT IN (SELECT m.objid FROM member AS m WHERE m.classid = 'pg_class'::regclass)
)
SELECT CASE r.kind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                   WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                   WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'composite type' END AS kind,
       format('%%I.%%I', r.schema, r.name) AS name,
       concat_ws(' ', CASE WHEN r.kind = 'm' AND NOT r.relispopulated THEN 'not populated' END,
                 CASE WHEN r.relrowsecurity THEN 'row security' END,
                 CASE WHEN r.relforcerowsecurity THEN 'forced' END,
                 CASE WHEN r.persistence = 'u' THEN 'unlogged' END) AS state
FROM relation AS r WHERE r.kind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
UNION ALL
SELECT 'index', format('%%I.%%I on %%I', t.schema, c.relname, t.name),
       concat_ws(' ', CASE WHEN i.indisprimary THEN 'primary' WHEN i.indisunique THEN 'unique' END,
                 CASE WHEN NOT i.indisvalid THEN 'invalid' END)
FROM pg_index AS i
JOIN relation AS t ON t.oid = i.indrelid
JOIN pg_class AS c ON c.oid = i.indexrelid
UNION ALL
SELECT 'constraint', format('%%I on %%I.%%I', c.conname, t.schema, t.name),
       concat_ws(' ', CASE c.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique'
                      WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'check'
                      WHEN 'x' THEN 'exclusion' ELSE c.contype::text END,
                 CASE WHEN NOT c.convalidated THEN 'not validated' END)
FROM pg_constraint AS c
JOIN relation AS t ON t.oid = c.conrelid
-- 18 also stores NOT NULL as constraints (n): left out, for the same answer everywhere.
WHERE c.contype NOT IN ('n', 't')
UNION ALL
SELECT 'trigger', format('%%I on %%I.%%I', g.tgname, t.schema, t.name),
       CASE g.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN 'disabled' ELSE g.tgenabled::text END
FROM pg_trigger AS g
JOIN relation AS t ON t.oid = g.tgrelid
WHERE NOT g.tgisinternal
UNION ALL
SELECT 'policy', format('%%I on %%I.%%I', p.polname, t.schema, t.name), p.polcmd::text
FROM pg_policy AS p
JOIN relation AS t ON t.oid = p.polrelid
UNION ALL
SELECT 'rule', format('%%I on %%I.%%I', w.rulename, t.schema, t.name), ''
FROM pg_rewrite AS w
JOIN relation AS t ON t.oid = w.ev_class
WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'statistics', format('%%I.%%I', s.schema, x.stxname), ''
FROM pg_statistic_ext AS x
JOIN space AS s ON s.oid = x.stxnamespace
UNION ALL
SELECT 'function', format('%%I.%%I(%%s)', s.schema, f.proname, pg_get_function_identity_arguments(f.oid)),
       f.prokind::text
FROM pg_proc AS f
JOIN space AS s ON s.oid = f.pronamespace
WHERE f.oid NOT IN (SELECT m.objid FROM member AS m WHERE m.classid = 'pg_proc'::regclass)
  -- The constructors of range and multirange types come with the types.
  AND NOT EXISTS (SELECT FROM pg_depend AS d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'i')
UNION ALL
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range'
                      ELSE 'type' END,
       format('%%I.%%I', s.schema, t.typname),
       CASE WHEN t.typtype = 'e'
            THEN (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder)
                  FROM pg_enum AS e WHERE e.enumtypid = t.oid) ELSE '' END
FROM pg_type AS t
JOIN space AS s ON s.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r')
  AND t.oid NOT IN (SELECT m.objid FROM member AS m WHERE m.classid = 'pg_type'::regclass)
UNION ALL
SELECT 'schema', format('%%I', s.schema), '' FROM space AS s
WHERE s.oid NOT IN (SELECT m.objid FROM member AS m WHERE m.classid = 'pg_namespace'::regclass)
UNION ALL
SELECT 'event trigger', format('%%I', e.evtname), e.evtenabled::text FROM pg_event_trigger AS e
WHERE e.oid NOT IN (SELECT m.objid FROM member AS m WHERE m.classid = 'pg_event_trigger'::regclass)
UNION ALL
SELECT 'extension', format('%%I', e.extname), '' FROM pg_extension AS e
UNION ALL
SELECT 'large objects', count(*)::text, '' FROM pg_largeobject_metadata
UNION ALL
SELECT 'publication', format('%%I', p.pubname), '' FROM pg_publication AS p
ORDER BY 1, 2, 3
