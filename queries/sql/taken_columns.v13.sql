-- The columns of the table %(schema)s.%(name)s, as CREATE TABLE would write them.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_attribute, format_type.
SELECT a.attname::text AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       n.nspname::text AS collation_schema,
       o.collname::text AS collation
FROM pg_class AS c
JOIN pg_namespace AS s ON s.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_collation AS o ON o.oid = a.attcollation AND a.attcollation <> t.typcollation
LEFT JOIN pg_namespace AS n ON n.oid = o.collnamespace
WHERE s.nspname = %(schema)s AND c.relname = %(name)s
  AND c.relkind IN ('r', 'p', 'm') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
