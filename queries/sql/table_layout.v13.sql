-- What the size of each table should follow from: its rows and pages at the last VACUUM or ANALYZE,
-- and the average width of a row by its columns' statistics. Partitioned tables have no pages.
-- width is null where a column has no statistics that the asking role may see.
-- Privileges: SELECT on the columns, for pg_stats. PostgreSQL 13 and later.
-- Source: pg_class, pg_attribute, pg_stats.
SELECT c.oid::bigint AS oid,
       c.relpages::bigint AS pages,
       c.reltuples::float8 AS rows,
       current_setting('block_size')::int AS page_bytes,
       COALESCE((SELECT o.option_value::int FROM pg_options_to_table(c.reloptions) AS o
                 WHERE o.option_name = 'fillfactor'), 100) AS fill_percent,
       CASE WHEN count(*) = count(s.avg_width)
            THEN sum((1 - s.null_frac) * s.avg_width)::float8 END AS width,
       count(*)::int AS columns,
       COALESCE(bool_or(s.null_frac > 0), false) AS has_nulls
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_stats AS s
       ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
      AND NOT s.inherited
WHERE c.relkind IN ('r', 'm')
  AND c.relpages >= %(least_pages)s
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
GROUP BY c.oid, c.relpages, c.reltuples, c.reloptions
