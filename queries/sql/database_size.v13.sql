-- The size of this database on disk. Costs tens of milliseconds with many files: ask once a minute.
-- Privileges: CONNECT, or pg_read_all_stats. PostgreSQL 13 and later.
SELECT clock_timestamp() AS at,
       pg_database_size(current_database()) AS bytes
