-- Since when this database's statistics are counted; reset_at is null when they were never reset.
-- A crash discards all statistics without a word in reset_at (15 and later): the cluster-wide ones
-- begin anew at that moment, and say when.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_stat_database, pg_stat_bgwriter.
SELECT d.stats_reset AS reset_at,
       pg_postmaster_start_time() AS started_at,
       b.stats_reset AS shared_reset_at
FROM pg_stat_database AS d
CROSS JOIN pg_stat_bgwriter AS b
WHERE d.datname = current_database()
