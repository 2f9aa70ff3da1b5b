-- Tables of user schemas (partitions and inheritance children too): rows, pages, vacuum, use.
-- own_autovacuum is the table's setting, null where it has none; toast_bytes as of the last VACUUM.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_depend, pg_stat_get_*().
SELECT c.oid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       c.relpersistence::text AS persistence,
       c.relispartition AS is_partition,
       EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid) AS is_child,
       EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid) AS is_parent,
       EXISTS (SELECT FROM pg_depend AS d
               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
           AS is_of_extension,
       c.reltuples::float8 AS estimated_rows,
       c.relpages::bigint * current_setting('block_size')::bigint AS estimated_bytes,
       COALESCE(t.relpages::bigint * current_setting('block_size')::bigint, 0) AS toast_bytes,
       (SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) AS o
        WHERE o.option_name = 'autovacuum_enabled') AS own_autovacuum,
       CASE WHEN c.relkind <> 'p' THEN age(c.relfrozenxid)::bigint ELSE 0 END AS xid_age,
       pg_stat_get_live_tuples(c.oid) AS live_rows,
       pg_stat_get_dead_tuples(c.oid) AS dead_rows,
       pg_stat_get_numscans(c.oid) AS sequential_scans,
       pg_stat_get_tuples_returned(c.oid) AS sequential_rows,
       GREATEST(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid))
           AS last_analyze
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid AND c.reltoastrelid <> 0
WHERE c.relkind IN ('r', 'p', 'm')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
ORDER BY n.nspname, c.relname
