-- What the session's role may do on the server as far as a restore and its cut-over need it.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_roles, pg_control_system, pg_settings.
SELECT r.rolname::text AS role,
       r.rolsuper AS is_superuser,
       r.rolsuper OR r.rolcreatedb AS creates_databases,
       r.rolsuper OR r.rolcreaterole AS creates_roles,
       r.rolsuper OR pg_has_role(r.oid, 'pg_signal_backend', 'USAGE') AS ends_sessions,
       current_setting('server_version_num')::int AS server_version_number,
       current_setting('server_version') AS server_version,
       pg_is_in_recovery() AS in_recovery,
       (SELECT c.system_identifier::text FROM pg_control_system() AS c) AS system_identifier,
       -- The view leaves out what the role may not see, where current_setting would raise.
       (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'data_directory') AS data_directory
FROM pg_roles AS r
WHERE r.rolname = current_user
