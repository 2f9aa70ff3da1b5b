-- The snapshot that a dump and the counts beside it share, and where and when it was taken.
-- To be asked as the first statement of a REPEATABLE READ transaction that stays open.
-- Privileges: none. PostgreSQL 13 and later; on a standby the position is what was replayed.
SELECT pg_export_snapshot() AS snapshot,
       now() AS taken_at,
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_lsn() END::text AS wal_position,
       pg_is_in_recovery() AS in_recovery,
       current_setting('server_version') AS server_version,
       current_setting('server_version_num')::int AS server_version_number,
       pg_database_size(current_database())::bigint AS database_bytes
