-- The file of each table and materialized view of this database, as WAL names it.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_relation_filenode.
SELECT d.oid::bigint AS database,
       pg_relation_filenode(c.oid)::bigint AS file,
       n.nspname || '.' || c.relname AS name
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_database AS d ON d.datname = current_database()
WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND c.oid >= 16384
  AND pg_relation_filenode(c.oid) IS NOT NULL
ORDER BY file
