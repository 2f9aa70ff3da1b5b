-- The server as far as receiving its WAL and base backups depends on it.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_control_system, pg_settings, pg_roles.
SELECT (SELECT c.system_identifier::text FROM pg_control_system() AS c) AS system_identifier,
       current_setting('server_version') AS server_version,
       current_setting('server_version_num')::int AS server_version_number,
       pg_is_in_recovery() AS in_recovery,
       current_setting('wal_level') AS wal_level,
       (SELECT s.setting::bigint * CASE s.unit WHEN '8kB' THEN 8192 WHEN 'kB' THEN 1024
                                               WHEN 'MB' THEN 1048576 ELSE 1 END
        FROM pg_settings AS s WHERE s.name = 'wal_segment_size')::bigint AS segment_bytes,
       current_setting('max_wal_senders')::int AS max_wal_senders,
       current_setting('max_replication_slots')::int AS max_replication_slots,
       (SELECT s.setting::int FROM pg_settings AS s WHERE s.name = 'max_slot_wal_keep_size')
           AS slot_limit_mb,
       coalesce(current_setting('summarize_wal', true), 'off') = 'on' AS summarizes_wal,
       current_setting('data_checksums') = 'on' AS has_checksums,
       current_setting('archive_mode') AS archive_mode,
       r.rolname::text AS role,
       r.rolsuper OR r.rolreplication AS may_replicate,
       r.rolsuper AS is_superuser,
       (SELECT b.rolname::text FROM pg_roles AS b WHERE b.oid = 10) AS superuser,
       (SELECT count(*)::int FROM pg_tablespace AS t
        WHERE pg_tablespace_location(t.oid) <> '') AS tablespaces,
       now() AS at
FROM pg_roles AS r
WHERE r.rolname = current_user
