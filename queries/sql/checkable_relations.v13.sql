-- Tables and B-tree indexes that amcheck can look into, smallest first, with their size.
-- Temporary ones of other sessions, and unlogged ones on a standby, cannot be looked into.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_index.
SELECT c.oid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind = 'i' AS is_index,
       COALESCE(i.indisunique, false) AS is_unique,
       c.relpages::bigint * current_setting('block_size')::bigint AS estimated_bytes
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
LEFT JOIN pg_am AS am ON am.oid = c.relam
WHERE ((c.relkind = 'i' AND am.amname = 'btree' AND i.indisvalid AND i.indisready)
       OR (c.relkind IN ('r', 'm', 't') AND am.amname = 'heap'))
  AND c.relpersistence <> 't'
  AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery())
ORDER BY c.relpages, c.oid
