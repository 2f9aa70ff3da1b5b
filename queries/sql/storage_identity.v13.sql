-- Which cluster and database this is, how large, and what this session is to the operating system.
-- Privileges: CONNECT. PostgreSQL 13 and later. Source: pg_control_system().
SELECT s.system_identifier::text AS cluster,
       d.oid::bigint AS database_oid,
       pg_database_size(d.oid) AS bytes,
       pg_backend_pid() AS backend_pid,
       now() AS at
FROM pg_database AS d
CROSS JOIN pg_control_system() AS s
WHERE d.datname = current_database()
