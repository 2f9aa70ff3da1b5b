-- Every role that is not one of PostgreSQL's own, and what it may do.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_roles.
SELECT r.rolname::text AS name,
       r.oid = 10 AS is_bootstrap,
       r.rolcanlogin AS can_login,
       r.rolsuper AS is_superuser,
       r.rolcreaterole AS creates_roles,
       r.rolcreatedb AS creates_databases,
       r.rolreplication AS replicates,
       r.rolbypassrls AS bypasses_row_security,
       r.rolconnlimit AS connection_limit,
       r.rolvaliduntil IS NOT NULL AND isfinite(r.rolvaliduntil) AS expires,
       COALESCE(r.rolvaliduntil < now(), false) AS has_expired
FROM pg_roles AS r
WHERE r.rolname !~ '^pg_'
ORDER BY r.rolname
