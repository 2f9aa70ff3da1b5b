-- What writing to the tables %(tables)s (schema-qualified and quoted) sets going beside them:
-- enabled triggers, keys of other tables that cascade or are checked, sequences of their columns.
-- Privileges: none. PostgreSQL 13 and later.
WITH written AS (
    SELECT to_regclass(name) AS oid FROM unnest(%(tables)s::text[]) AS name
)
SELECT 'trigger' AS kind,
       t.tgname::text AS name,
       format('calls %%I.%%I (%%s)', n.nspname, p.proname, l.lanname) AS detail
FROM pg_trigger AS t
JOIN pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang
WHERE t.tgrelid IN (SELECT oid FROM written) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT 'foreign key', c.conname::text,
       format('%%s (%%s)', c.conrelid::regclass,
           CASE c.confdeltype WHEN 'c' THEN 'cascades' WHEN 'n' THEN 'sets null'
                              WHEN 'd' THEN 'sets the default' ELSE 'is checked' END)
FROM pg_constraint AS c
WHERE c.contype = 'f' AND c.confrelid IN (SELECT oid FROM written)
UNION ALL
SELECT 'sequence', d.objid::regclass::text, format('column %%I', a.attname)
FROM pg_depend AS d
JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass
  AND d.refclassid = 'pg_class'::regclass
  AND d.refobjsubid > 0
  AND d.refobjid IN (SELECT oid FROM written)
UNION ALL
SELECT 'foreign table', w.oid::regclass::text, 'on another server'
FROM written AS w
JOIN pg_class AS r ON r.oid = w.oid AND r.relkind = 'f'
ORDER BY 1, 2
