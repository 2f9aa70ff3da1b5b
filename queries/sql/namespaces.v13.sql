-- User schemas, also empty ones.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_namespace.
SELECT n.oid::bigint AS oid,
       n.nspname::text AS name,
       pg_get_userbyid(n.nspowner)::text AS owner,
       obj_description(n.oid, 'pg_namespace') AS comment
FROM pg_namespace AS n
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
ORDER BY n.nspname
