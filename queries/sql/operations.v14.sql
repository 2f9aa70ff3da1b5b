-- Long operations that tell how far they are: vacuum, analyze, index builds, cluster, copy, base
-- backup. done and total are of the phase, null where it has no measure.
-- Privileges: pg_read_all_stats for other roles' operations. PostgreSQL 14 to 16.
-- Source: pg_stat_progress_*, pg_stat_activity.
WITH operations AS (
    SELECT 'vacuum' AS kind, v.pid AS pid, v.datid AS datid, v.relid AS relid,
           '' AS command, v.phase AS phase,
           CASE v.phase WHEN 'scanning heap' THEN v.heap_blks_scanned
                        WHEN 'vacuuming heap' THEN v.heap_blks_vacuumed
           END AS done,
           CASE v.phase WHEN 'scanning heap' THEN v.heap_blks_total
                        WHEN 'vacuuming heap' THEN v.heap_blks_total
           END AS total,
           'blocks' AS unit
    FROM pg_stat_progress_vacuum AS v
    UNION ALL
    SELECT 'analyze', p.pid, p.datid, p.relid, '', p.phase,
           p.sample_blks_scanned, p.sample_blks_total, 'blocks'
    FROM pg_stat_progress_analyze AS p
    UNION ALL
    SELECT 'create index', p.pid, p.datid, p.relid, p.command, p.phase,
           CASE WHEN p.blocks_total > 0 THEN p.blocks_done
                WHEN p.tuples_total > 0 THEN p.tuples_done
                ELSE p.lockers_done END,
           CASE WHEN p.blocks_total > 0 THEN p.blocks_total
                WHEN p.tuples_total > 0 THEN p.tuples_total
                ELSE NULLIF(p.lockers_total, 0) END,
           CASE WHEN p.blocks_total > 0 THEN 'blocks'
                WHEN p.tuples_total > 0 THEN 'rows'
                ELSE 'transactions' END
    FROM pg_stat_progress_create_index AS p
    UNION ALL
    SELECT 'cluster', p.pid, p.datid, p.relid, p.command, p.phase,
           CASE WHEN p.heap_blks_total > 0 THEN p.heap_blks_scanned
                ELSE p.heap_tuples_written END,
           NULLIF(p.heap_blks_total, 0),
           CASE WHEN p.heap_blks_total > 0 THEN 'blocks' ELSE 'rows' END
    FROM pg_stat_progress_cluster AS p
    UNION ALL
    SELECT 'copy', p.pid, p.datid, p.relid, p.command, 'copying',
           CASE WHEN p.bytes_total > 0 THEN p.bytes_processed ELSE p.tuples_processed END,
           NULLIF(p.bytes_total, 0),
           CASE WHEN p.bytes_total > 0 THEN 'bytes' ELSE 'rows' END
    FROM pg_stat_progress_copy AS p
    UNION ALL
    SELECT 'base backup', p.pid, NULL, NULL, '', p.phase,
           p.backup_streamed, p.backup_total, 'bytes'
    FROM pg_stat_progress_basebackup AS p
)
SELECT o.kind AS kind,
       o.pid AS pid,
       a.backend_start AS started_at,
       COALESCE(a.backend_type = 'autovacuum worker', false) AS is_automatic,
       a.datname::text AS database,
       CASE WHEN n.nspname = 'public' THEN quote_ident(c.relname)
            ELSE COALESCE(quote_ident(n.nspname) || '.' || quote_ident(c.relname), NULLIF(o.relid, 0)::text)
       END AS relation,
       o.command AS command,
       o.phase AS phase,
       o.done AS done,
       o.total AS total,
       o.unit AS unit,
       date_part('epoch', clock_timestamp() - a.query_start) AS seconds,
       a.wait_event_type AS wait_class,
       a.wait_event AS wait_event
FROM operations AS o
LEFT JOIN pg_stat_activity AS a ON a.pid = o.pid
LEFT JOIN pg_class AS c
    ON c.oid = o.relid
       AND o.datid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY a.query_start, o.pid
