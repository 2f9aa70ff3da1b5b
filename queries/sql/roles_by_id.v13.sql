-- The names of all roles.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_roles.
SELECT r.oid::bigint AS id,
       r.rolname::text AS name
FROM pg_roles AS r
