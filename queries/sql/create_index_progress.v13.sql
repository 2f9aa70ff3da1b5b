-- Index builds that run in this database: CREATE INDEX and REINDEX, concurrent or not.
-- A build whose relation the role may not see has hidden = true and neither table nor index.
-- Privileges: pg_read_all_stats for other roles' builds. PostgreSQL 13 and later.
-- Source: pg_stat_progress_create_index.
SELECT p.pid,
       p.relid IS NULL AS hidden,
       NULLIF(p.relid, 0)::bigint AS table_oid,
       NULLIF(p.index_relid, 0)::bigint AS index_oid,
       COALESCE(p.command, '') AS command,
       COALESCE(p.phase, '') AS phase,
       COALESCE(p.lockers_total, 0) AS lockers_total,
       COALESCE(p.lockers_done, 0) AS lockers_done,
       NULLIF(p.current_locker_pid, 0)::int AS locker_pid,
       COALESCE(p.blocks_total, 0) AS blocks_total,
       COALESCE(p.blocks_done, 0) AS blocks_done,
       COALESCE(p.tuples_total, 0) AS tuples_total,
       COALESCE(p.tuples_done, 0) AS tuples_done
FROM pg_stat_progress_create_index AS p
WHERE p.datname = current_database()
