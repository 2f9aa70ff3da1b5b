-- Whether finished WAL files reach their archive.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_stat_archiver.
SELECT current_setting('archive_mode') AS mode,
       s.archived_count AS archived,
       s.failed_count AS failed,
       s.last_archived_time AS last_archived,
       s.last_failed_time AS last_failed,
       s.last_failed_wal AS last_failed_file
FROM pg_stat_archiver AS s
