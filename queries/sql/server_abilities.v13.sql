-- What the session's role may do on this server, as far as a backup or a restore needs it.
-- Privileges: none. PostgreSQL 13 and later.
SELECT r.rolname::text AS role,
       r.rolsuper AS is_superuser,
       r.rolsuper OR r.rolcreatedb AS creates_databases,
       r.rolsuper OR r.rolcreaterole AS creates_roles,
       r.rolsuper OR r.rolbypassrls AS bypasses_row_security
FROM pg_roles AS r
WHERE r.rolname = current_user
