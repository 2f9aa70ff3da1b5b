-- Every partition, sub-partition and inheriting table below one table, by way of its parent. The
-- bound is null for plain inheritance, and where an ACCESS EXCLUSIVE lock, held or awaited, would
-- make pg_get_expr wait.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_inherits, pg_class.
WITH RECURSIVE locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
),
tree AS (
    SELECT i.inhrelid, i.inhparent, 1 AS depth
    FROM pg_inherits AS i
    WHERE i.inhparent = %(relation)s::oid
    UNION
    SELECT i.inhrelid, i.inhparent, t.depth + 1
    FROM tree AS t
    JOIN pg_inherits AS i ON i.inhparent = t.inhrelid
)
SELECT c.oid::bigint AS oid,
       t.inhparent::bigint AS parent_oid,
       t.depth,
       n.nspname::text AS schema,
       c.relname::text AS name,
       c.relkind::text AS kind,
       CASE WHEN c.relispartition AND c.oid NOT IN (SELECT l.relation FROM locked AS l)
            THEN pg_get_expr(c.relpartbound, c.oid) END AS bound,
       c.reltuples::bigint AS estimated_rows
FROM tree AS t
JOIN pg_class AS c ON c.oid = t.inhrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY t.depth, n.nspname, c.relname
