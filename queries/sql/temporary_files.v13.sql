-- What went to temporary files in this database since its statistics were reset.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_stat_database.
SELECT d.temp_files AS files,
       d.temp_bytes AS bytes,
       COALESCE(d.stats_reset, pg_postmaster_start_time()) AS since,
       now() AS at
FROM pg_stat_database AS d
WHERE d.datname = current_database()
