-- How the values of each table's columns are spread, as ANALYZE found it; of a partitioned table
-- those of all its partitions.
-- Privileges: SELECT on the columns, for pg_stats. PostgreSQL 13 and later.
-- Source: pg_stats, pg_class.
SELECT c.oid::bigint AS table_oid,
       s.attname::text AS column,
       GREATEST(c.reltuples, 0)::float8 AS rows,
       (CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * GREATEST(c.reltuples, 0)
             ELSE s.n_distinct END)::float8 AS distinct_values,
       s.null_frac::float8 AS null_fraction
FROM pg_stats AS s
JOIN pg_namespace AS n ON n.nspname = s.schemaname
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.tablename
WHERE s.inherited = (c.relkind = 'p')
  AND s.schemaname NOT IN ('pg_catalog', 'information_schema')
