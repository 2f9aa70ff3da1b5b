-- Since when this database's statistics are counted; null when they were never reset.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_stat_database.
SELECT d.stats_reset AS reset_at,
       pg_postmaster_start_time() AS started_at
FROM pg_stat_database AS d
WHERE d.datname = current_database()
