-- Logical replication slots tied to one database: they stay with it, whatever it is called.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_replication_slots.
SELECT s.slot_name::text AS name,
       s.plugin::text AS plugin,
       s.active AS is_active
FROM pg_replication_slots AS s
WHERE s.database = %(name)s
ORDER BY s.slot_name
