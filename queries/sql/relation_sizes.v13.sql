-- Exact sizes of the named relations (tables with TOAST and free space map, without their indexes;
-- indexes by themselves). Relations under an ACCESS EXCLUSIVE lock, held or awaited, are left out.
-- Privileges: none. PostgreSQL 13 and later.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT c.oid::bigint AS oid,
       CASE WHEN c.relkind IN ('r', 'm', 'p') THEN pg_table_size(c.oid)
            ELSE pg_relation_size(c.oid) END AS bytes,
       CASE WHEN c.relkind IN ('r', 'm', 'p') THEN pg_indexes_size(c.oid) ELSE 0 END
           AS index_bytes
FROM pg_class AS c
WHERE c.oid = ANY (%(oids)s::oid[])
  AND c.oid NOT IN (SELECT l.relation FROM locked AS l)
  AND NOT EXISTS (SELECT FROM pg_index AS i
                  WHERE i.indrelid = c.oid
                    AND i.indexrelid IN (SELECT l.relation FROM locked AS l))
