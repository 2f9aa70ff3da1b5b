-- How tables are divided or derived: a partitioned table's key (null where an ACCESS EXCLUSIVE lock,
-- held or awaited, would make us wait) and the tables an ordinary one inherits from.
-- Only tables that are either; partitions themselves are left out.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_inherits.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
),
parents AS MATERIALIZED (
    SELECT i.inhrelid,
           array_agg(format('%%I.%%I', n.nspname, p.relname) ORDER BY i.inhseqno) AS names
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    JOIN pg_class AS p ON p.oid = i.inhparent
    JOIN pg_namespace AS n ON n.oid = p.relnamespace
    WHERE c.relkind = 'r' AND NOT c.relispartition
    GROUP BY i.inhrelid
)
SELECT c.oid::bigint AS oid,
       CASE WHEN c.relkind = 'p' AND c.oid NOT IN (SELECT l.relation FROM locked AS l)
            THEN pg_get_partkeydef(c.oid) END AS partition_key,
       COALESCE(p.names, '{}') AS parents
FROM pg_class AS c
LEFT JOIN parents AS p ON p.inhrelid = c.oid
WHERE (c.relkind = 'p' OR p.inhrelid IS NOT NULL)
  AND NOT c.relispartition
