-- WAL written, and the checkpoints that spread it to the tables, since statistics were reset.
-- Privileges: none. PostgreSQL 14 to 16. Source: pg_stat_bgwriter, pg_stat_wal.
SELECT clock_timestamp() AS at,
       b.checkpoints_timed AS checkpoints_timed,
       b.checkpoints_req AS checkpoints_requested,
       b.checkpoint_write_time AS write_ms,
       b.checkpoint_sync_time AS sync_ms,
       b.buffers_checkpoint AS checkpoint_buffers,
       b.buffers_backend AS backend_buffers,
       b.buffers_clean AS cleaner_buffers,
       b.maxwritten_clean AS cleaner_halts,
       w.wal_records AS wal_records,
       w.wal_fpi AS wal_full_pages,
       w.wal_bytes::bigint AS wal_bytes,
       w.wal_buffers_full AS wal_buffers_full,
       b.stats_reset AS reset_at,
       current_setting('checkpoint_timeout') AS checkpoint_timeout,
       current_setting('max_wal_size') AS max_wal_size
FROM pg_stat_bgwriter AS b
CROSS JOIN pg_stat_wal AS w
