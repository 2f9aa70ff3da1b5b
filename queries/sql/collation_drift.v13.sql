-- Collations that the operating system's library sorts differently now than when they were made.
-- Privileges: none. PostgreSQL 13 and 14. Source: pg_collation.
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
ORDER BY 1
