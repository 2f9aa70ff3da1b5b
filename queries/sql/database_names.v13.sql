-- Every database that takes connections; where a session can stand while another is renamed.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_database.
SELECT d.datname::text AS name
FROM pg_database AS d
WHERE d.datallowconn
ORDER BY d.datname
