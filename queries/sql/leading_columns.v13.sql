-- The first column of each plain index of a large table, with how its values are spread.
-- Left out: unique, partial and expression indexes, and those of constraints or extensions.
-- Privileges: SELECT on the columns, for pg_stats. PostgreSQL 13 and later.
-- Source: pg_index, pg_class, pg_stats.
SELECT i.indexrelid::bigint AS oid,
       n.nspname::text AS schema,
       ic.relname::text AS name,
       tc.relname::text AS table,
       a.attname::text AS column,
       tc.reltuples::float8 AS rows,
       s.null_frac::float8 AS null_fraction,
       s.n_distinct::float8 AS distinct_values
FROM pg_index AS i
JOIN pg_class AS ic ON ic.oid = i.indexrelid
JOIN pg_class AS tc ON tc.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = tc.relnamespace
JOIN pg_am AS am ON am.oid = ic.relam
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
JOIN pg_stats AS s
  ON s.schemaname = n.nspname AND s.tablename = tc.relname AND s.attname = a.attname
 AND NOT s.inherited
WHERE tc.reltuples >= %(least_rows)s
  AND am.amname = 'btree'
  AND i.indnkeyatts = 1
  AND i.indisvalid AND NOT i.indisunique AND i.indpred IS NULL AND i.indkey[0] <> 0
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = tc.oid AND d.deptype = 'e')
ORDER BY n.nspname, ic.relname
