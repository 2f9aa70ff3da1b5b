-- What the size of each B-tree index should follow from: its rows and pages at the last VACUUM or
-- ANALYZE, and its columns' widths and nulls. Arrays are in column order.
-- widths and null_fractions are null where pg_stats has no row that the asking role may see.
-- Privileges: SELECT on the columns, for pg_stats. PostgreSQL 13 and later.
-- Source: pg_class, pg_index, pg_attribute, pg_stats.
WITH columns AS MATERIALIZED (
    SELECT i.indexrelid,
           a.attnum,
           a.attlen::int AS length,
           a.attalign::text AS alignment,
           -- Types whose equal values may differ, so that no posting lists are made of them.
           t.oid IN ('numeric'::regtype, 'float4'::regtype, 'float8'::regtype, 'jsonb'::regtype)
               OR t.typtype IN ('c', 'r', 'm') OR t.typcategory = 'A' AS not_deduplicated,
           s.avg_width,
           s.null_frac,
           s.n_distinct,
           i.indkey[a.attnum - 1] = 0
               OR has_column_privilege(i.indrelid, i.indkey[a.attnum - 1], 'SELECT') AS readable
    FROM pg_index AS i
    JOIN pg_class AS ic ON ic.oid = i.indexrelid
    JOIN pg_class AS tc ON tc.oid = i.indrelid
    JOIN pg_namespace AS n ON n.oid = tc.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = i.indexrelid
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attribute AS ta
           ON ta.attrelid = i.indrelid AND ta.attnum = i.indkey[a.attnum - 1] AND ta.attnum <> 0
    LEFT JOIN pg_stats AS s
           ON s.schemaname = n.nspname
          AND NOT s.inherited
          AND s.tablename = CASE WHEN ta.attname IS NULL THEN ic.relname ELSE tc.relname END
          AND s.attname = COALESCE(ta.attname, a.attname)
    WHERE ic.relkind = 'i'
      AND ic.relam = (SELECT am.oid FROM pg_am AS am WHERE am.amname = 'btree')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      AND n.nspname !~ '^pg_(temp|toast_temp)_'
)
SELECT c.indexrelid::bigint AS oid,
       ic.relpages::bigint AS pages,
       ic.reltuples::float8 AS rows,
       current_setting('block_size')::int AS page_bytes,
       COALESCE((SELECT o.option_value::int
                 FROM pg_options_to_table(ic.reloptions) AS o
                 WHERE o.option_name = 'fillfactor'), 90) AS fill_percent,
       NOT i.indisunique
           AND i.indnatts = i.indnkeyatts
           AND NOT bool_or(c.not_deduplicated)
           AND NOT EXISTS (SELECT FROM pg_options_to_table(ic.reloptions) AS o
                           WHERE o.option_name = 'deduplicate_items'
                             AND NOT o.option_value::boolean)
           -- Uncorrelated: a server has hundreds of collations, and they are read once.
           AND NOT i.indcollation::oid[] && ARRAY(SELECT co.oid
                                                  FROM pg_collation AS co
                                                  WHERE NOT co.collisdeterministic)
           AS deduplicated,
       array_agg(c.length ORDER BY c.attnum) AS lengths,
       array_agg(c.alignment ORDER BY c.attnum) AS alignments,
       array_agg(c.avg_width ORDER BY c.attnum) AS widths,
       array_agg(c.null_frac::float8 ORDER BY c.attnum) AS null_fractions,
       array_agg(c.n_distinct::float8 ORDER BY c.attnum) AS distinct_values,
       bool_and(c.readable) AS readable
FROM columns AS c
JOIN pg_class AS ic ON ic.oid = c.indexrelid
JOIN pg_index AS i ON i.indexrelid = c.indexrelid
GROUP BY c.indexrelid, ic.relpages, ic.reltuples, ic.reloptions,
         i.indisunique, i.indnatts, i.indnkeyatts, i.indcollation
