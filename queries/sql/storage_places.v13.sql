-- Tablespaces outside the data directory.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_tablespace.
SELECT t.spcname::text AS name,
       pg_tablespace_location(t.oid) AS path
FROM pg_tablespace AS t
WHERE t.spcname NOT IN ('pg_default', 'pg_global')
ORDER BY 1
