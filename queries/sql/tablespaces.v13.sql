-- Tablespaces that lie outside the data directory, and where.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_tablespace.
SELECT t.oid::bigint AS oid,
       pg_tablespace_location(t.oid) AS location
FROM pg_tablespace AS t
WHERE pg_tablespace_location(t.oid) <> ''
ORDER BY t.oid
