-- The valid indexes of the tables %(tables)s (schema-qualified and quoted), with their columns.
-- Privileges: none. PostgreSQL 13 and later.
SELECT n.nspname::text AS schema,
       t.relname::text AS table,
       i.relname::text AS name,
       ARRAY(SELECT coalesce(a.attname::text, '')
             FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
             LEFT JOIN pg_attribute AS a
                 ON a.attrelid = x.indrelid AND a.attnum = k.attnum AND k.attnum > 0
             WHERE k.place <= x.indnkeyatts
             ORDER BY k.place) AS columns
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS t ON t.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE x.indrelid IN (SELECT to_regclass(name) FROM unnest(%(tables)s::text[]) AS name)
  AND x.indisvalid
ORDER BY 1, 2, 3
