-- Whether pages carry checksums, and how many were found to be wrong, by database.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_stat_database, data_checksums.
SELECT current_setting('data_checksums') AS setting,
       COALESCE(s.datname::text, '(shared objects)') AS database,
       COALESCE(s.checksum_failures, 0) AS failures,
       s.checksum_last_failure AS last_failure
FROM pg_stat_database AS s
ORDER BY s.checksum_failures DESC NULLS LAST, s.datid
