-- Checkpoints since the statistics were reset: by time, and because the WAL had grown too much.
-- Privileges: none. PostgreSQL 17 and later. Source: pg_stat_checkpointer.
SELECT c.num_timed AS timed,
       c.num_requested AS requested,
       EXTRACT(epoch FROM now() - COALESCE(c.stats_reset, pg_postmaster_start_time()))::float8
           AS seconds
FROM pg_stat_checkpointer AS c
