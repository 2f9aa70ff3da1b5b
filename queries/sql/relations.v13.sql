-- Tables, partitioned tables, views, materialized views, sequences and foreign tables of user schemas.
-- Rows and size are the planner's estimates: exact ones would open every relation.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_namespace, pg_inherits,
-- pg_description.
SELECT c.oid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       pg_get_userbyid(c.relowner)::text AS owner,
       c.relpersistence::text AS persistence,
       c.reltuples::bigint AS estimated_rows,
       c.relpages::bigint * current_setting('block_size')::bigint AS estimated_bytes,
       c.relispartition AS is_partition,
       (SELECT i.inhparent::bigint
        FROM pg_inherits AS i
        WHERE i.inhrelid = c.oid
        ORDER BY i.inhseqno
        LIMIT 1) AS parent_oid,
       c.relrowsecurity AS row_security,
       de.description AS comment
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_description AS de
       ON de.objoid = c.oid AND de.classoid = 'pg_class'::regclass AND de.objsubid = 0
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
  AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s::text[]))
ORDER BY n.nspname, c.relname
