-- How far the server has written WAL, and how far the slot %(slot)s says that it is received.
-- Privileges: none. PostgreSQL 13 and later, not on a standby. Source: pg_replication_slots.
SELECT now() AS at,
       pg_current_wal_insert_lsn()::text AS insert_lsn,
       pg_current_wal_flush_lsn()::text AS flush_lsn,
       left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline,
       s.slot_name IS NOT NULL AS slot_exists,
       coalesce(s.active, false) AS slot_active,
       s.restart_lsn::text AS restart_lsn,
       s.wal_status,
       s.safe_wal_size AS safe_bytes,
       pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint AS retained_bytes,
       (SELECT p.setting::int FROM pg_settings AS p WHERE p.name = 'max_slot_wal_keep_size')
           AS slot_limit_mb
FROM (SELECT 1) AS one
LEFT JOIN pg_replication_slots AS s ON s.slot_name = %(slot)s
