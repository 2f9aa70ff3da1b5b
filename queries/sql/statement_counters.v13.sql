-- The counters of every statement of this database, without its text.
-- {counted} is the function behind the view pg_stat_statements, with its schema; chosen by the
-- extension's version, not the server's: 1.8, of PostgreSQL 13.
-- Privileges: EXECUTE on the function; pg_read_all_stats for other roles' statement ids.
SELECT s.queryid AS id,
       s.userid::bigint AS user_id,
       true AS is_toplevel,
       s.calls AS calls,
       s.rows AS rows,
       s.total_exec_time AS total_ms,
       s.total_plan_time AS plan_ms,
       s.max_exec_time AS max_ms,
       s.stddev_exec_time AS stddev_ms,
       s.shared_blks_hit * b.bytes AS hit_bytes,
       s.shared_blks_read * b.bytes AS read_bytes,
       s.shared_blks_dirtied * b.bytes AS dirtied_bytes,
       s.shared_blks_written * b.bytes AS written_bytes,
       s.temp_blks_read * b.bytes AS temp_read_bytes,
       s.temp_blks_written * b.bytes AS temp_written_bytes,
       s.blk_read_time AS read_ms,
       s.blk_write_time AS write_ms,
       s.wal_records AS wal_records,
       s.wal_bytes::bigint AS wal_bytes,
       NULL::float8 AS jit_ms,
       NULL::timestamptz AS since
FROM {counted}(false) AS s
CROSS JOIN (SELECT current_setting('block_size')::bigint AS bytes) AS b
WHERE s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND s.calls > 0
