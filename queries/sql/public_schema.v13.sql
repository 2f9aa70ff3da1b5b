-- Who owns schema public; no row where there is none.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_namespace.
SELECT pg_get_userbyid(n.nspowner)::text AS owner,
       EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = 'pg_database_owner') AS has_database_owner
FROM pg_namespace AS n
WHERE n.nspname = 'public'
