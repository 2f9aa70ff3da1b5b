-- Tables, and populated materialized views, whose rows a dump holds: those of user schemas that
-- belong to no extension. A partitioned table's rows are its partitions'.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_namespace, pg_depend.
SELECT n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       c.relpages::bigint * current_setting('block_size')::bigint AS estimated_bytes,
       has_table_privilege(c.oid, 'SELECT') AS is_readable
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (c.relkind = 'r' OR (c.relkind = 'm' AND c.relispopulated))
  AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend AS d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
