-- Collations that the operating system's library sorts differently now than when they were made.
-- Privileges: none. PostgreSQL 15 and later. Source: pg_collation, pg_database.
SELECT 'collation ' || c.oid::regcollation::text AS name,
       c.collversion AS recorded,
       pg_collation_actual_version(c.oid) AS actual,
       'ALTER COLLATION ' || c.oid::regcollation::text || ' REFRESH VERSION;' AS statement,
       false AS is_default
FROM pg_collation AS c
WHERE c.collversion IS NOT NULL
  AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_database AS d
                              WHERE d.datname = current_database()))
  AND c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid)
UNION ALL
SELECT 'the default collation of database ' || quote_ident(d.datname),
       d.datcollversion,
       pg_database_collation_actual_version(d.oid),
       'ALTER DATABASE ' || quote_ident(d.datname) || ' REFRESH COLLATION VERSION;',
       true
FROM pg_database AS d
WHERE d.datname = current_database()
  AND d.datcollversion IS NOT NULL
  AND d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid)
ORDER BY 1
