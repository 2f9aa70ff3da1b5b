-- Tables with more dead rows than autovacuum waits for, by its own rule: threshold plus scale factor
-- times the estimated rows, at most autovacuum_vacuum_max_threshold (18), each table's settings first.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_stat_user_tables, pg_class.reloptions.
WITH counted AS (
    SELECT s.relid,
           s.n_dead_tup AS dead_rows,
           GREATEST(c.reltuples, 0) AS rows,
           (SELECT o.option_value::float8 FROM pg_options_to_table(c.reloptions) AS o
            WHERE o.option_name = 'autovacuum_vacuum_threshold') AS own_threshold,
           (SELECT o.option_value::float8 FROM pg_options_to_table(c.reloptions) AS o
            WHERE o.option_name = 'autovacuum_vacuum_scale_factor') AS own_factor,
           (SELECT o.option_value::float8 FROM pg_options_to_table(c.reloptions) AS o
            WHERE o.option_name = 'autovacuum_vacuum_max_threshold') AS own_maximum
    FROM pg_stat_user_tables AS s
    JOIN pg_class AS c ON c.oid = s.relid
    WHERE s.n_dead_tup > 0
),
limited AS (
    SELECT d.relid,
           d.dead_rows,
           LEAST(COALESCE(d.own_threshold, current_setting('autovacuum_vacuum_threshold')::float8)
                 + COALESCE(d.own_factor,
                            current_setting('autovacuum_vacuum_scale_factor')::float8) * d.rows,
                 NULLIF(COALESCE(d.own_maximum,
                                 current_setting('autovacuum_vacuum_max_threshold', true)::float8),
                        -1)) AS allowed
    FROM counted AS d
)
SELECT t.relid::bigint AS oid,
       t.dead_rows,
       t.allowed::bigint AS allowed_rows
FROM limited AS t
WHERE t.dead_rows > t.allowed
