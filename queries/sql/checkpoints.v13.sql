-- Checkpoints since the statistics were reset: by time, and because the WAL had grown too much.
-- Privileges: none. PostgreSQL 13 to 16. Source: pg_stat_bgwriter.
SELECT b.checkpoints_timed AS timed,
       b.checkpoints_req AS requested,
       EXTRACT(epoch FROM now() - COALESCE(b.stats_reset, pg_postmaster_start_time()))::float8
           AS seconds
FROM pg_stat_bgwriter AS b
