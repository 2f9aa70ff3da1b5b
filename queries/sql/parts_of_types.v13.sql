-- Schemas, extensions, enums, domains, composite and range types and sequences, each as a part that
-- can be compared with the part of the same name in another database. Members of extensions and the
-- sequences of identity columns are left out; `table` is the owner of a sequence's column.
-- Privileges: none. PostgreSQL 13 and later.
-- Source: pg_namespace, pg_extension, pg_type, pg_enum, pg_range, pg_sequence.
WITH space AS MATERIALIZED (
    SELECT n.oid, n.nspname::text AS schema
    FROM pg_namespace AS n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s::text[]))
), member AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend AS d WHERE d.deptype = 'e'
)
SELECT 'schema' AS kind,
       s.schema AS schema,
       NULL::text AS table,
       s.schema AS name,
       quote_ident(s.schema) AS sql_name,
       'pg_namespace'::regclass::oid::bigint AS class_oid,
       s.oid::bigint AS oid,
       0 AS sub_id,
       '{}'::jsonb AS facets
FROM space AS s
WHERE s.schema <> 'public'
  AND NOT EXISTS (SELECT FROM member AS m
                  WHERE m.classid = 'pg_namespace'::regclass AND m.objid = s.oid)
UNION ALL
SELECT 'extension', '', NULL, e.extname::text, quote_ident(e.extname),
       'pg_extension'::regclass::oid::bigint, e.oid::bigint, 0,
       jsonb_build_object('schema', quote_ident(n.nspname))
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql'
UNION ALL
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range type'
                      ELSE 'composite type' END,
       s.schema, NULL, t.typname::text, format('%%I.%%I', s.schema, t.typname),
       'pg_type'::regclass::oid::bigint, t.oid::bigint, 0,
       jsonb_build_object(
           'labels', (SELECT jsonb_agg(l.enumlabel ORDER BY l.enumsortorder)::text
                      FROM pg_enum AS l WHERE l.enumtypid = t.oid),
           'definition', CASE t.typtype
               WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
               WHEN 'r' THEN (SELECT format('(SUBTYPE = %%s)', format_type(r.rngsubtype, NULL))
                              FROM pg_range AS r WHERE r.rngtypid = t.oid)
               WHEN 'c' THEN (SELECT '(' || string_agg(format('%%I %%s', a.attname,
                                                              format_type(a.atttypid, a.atttypmod)),
                                                       ', ' ORDER BY a.attnum) || ')'
                              FROM pg_attribute AS a
                              WHERE a.attrelid = t.typrelid AND a.attnum > 0
                                AND NOT a.attisdropped) END,
           'default', CASE WHEN t.typtype = 'd' THEN t.typdefault END,
           'not null', CASE WHEN t.typtype = 'd' AND t.typnotnull THEN 'NOT NULL' END,
           'checks', (SELECT string_agg(format('CONSTRAINT %%I %%s', c.conname,
                                               pg_get_constraintdef(c.oid)),
                                        ' ' ORDER BY c.conname)
                      FROM pg_constraint AS c WHERE c.contypid = t.oid AND c.contype = 'c'),
           'comment', obj_description(t.oid, 'pg_type'))
FROM pg_type AS t
JOIN space AS s ON s.oid = t.typnamespace
LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
  AND NOT EXISTS (SELECT FROM member AS m
                  WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
UNION ALL
SELECT 'sequence', s.schema,
       CASE WHEN d.refobjid IS NOT NULL THEN
           (SELECT format('%%I.%%I', tn.nspname, t.relname)
            FROM pg_class AS t JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
            WHERE t.oid = d.refobjid) END,
       c.relname::text, format('%%I.%%I', s.schema, c.relname),
       'pg_class'::regclass::oid::bigint, c.oid::bigint, 0,
       jsonb_build_object(
           'definition', format('AS %%s START WITH %%s INCREMENT BY %%s MINVALUE %%s MAXVALUE %%s CACHE %%s%%s',
                                format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin,
                                q.seqmax, q.seqcache,
                                CASE WHEN q.seqcycle THEN ' CYCLE' ELSE ' NO CYCLE' END),
           'owner column', (SELECT quote_ident(a.attname) FROM pg_attribute AS a
                            WHERE a.attrelid = d.refobjid AND a.attnum = d.refobjsubid))
FROM pg_sequence AS q
JOIN pg_class AS c ON c.oid = q.seqrelid
JOIN space AS s ON s.oid = c.relnamespace
LEFT JOIN pg_depend AS d
       ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
WHERE d.deptype IS DISTINCT FROM 'i'
  AND NOT EXISTS (SELECT FROM member AS m
                  WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
ORDER BY 2, 1, 5
