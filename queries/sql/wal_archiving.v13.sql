-- How far the server has written WAL, and how its archiver fares, to be held against an archive.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_control_system, pg_stat_archiver.
SELECT (SELECT c.system_identifier::text FROM pg_control_system() AS c) AS system_identifier,
       pg_is_in_recovery() AS in_recovery,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
             ELSE pg_current_wal_insert_lsn() END)::text AS lsn,
       (SELECT p.setting::bigint * CASE p.unit WHEN '8kB' THEN 8192 WHEN 'kB' THEN 1024
                                               WHEN 'MB' THEN 1048576 ELSE 1 END
        FROM pg_settings AS p WHERE p.name = 'wal_segment_size')::bigint AS segment_bytes,
       current_setting('archive_mode') AS archive_mode,
       s.last_archived_wal,
       s.last_archived_time AS last_archived,
       s.last_failed_wal,
       s.last_failed_time AS last_failed,
       now() AS at
FROM pg_stat_archiver AS s
