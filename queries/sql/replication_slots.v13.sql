-- Replication slots, and how much WAL each keeps on the disk.
-- wal_status: reserved, extended, unreserved, lost; retained_bytes is null on a standby.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_replication_slots.
SELECT s.slot_name::text AS name,
       s.slot_type::text AS type,
       s.active AS is_active,
       s.wal_status,
       CASE WHEN NOT pg_is_in_recovery()
            THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint END AS retained_bytes
FROM pg_replication_slots AS s
WHERE NOT s.temporary
ORDER BY s.slot_name
