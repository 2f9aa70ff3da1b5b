-- Extensions in the database, with their versions and schemas.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_extension.
SELECT e.extname::text AS name,
       e.extversion::text AS version,
       n.nspname::text AS schema
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
ORDER BY e.extname
