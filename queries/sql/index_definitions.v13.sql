-- CREATE INDEX statements of the named indexes, except where an ACCESS EXCLUSIVE lock on the table,
-- held or awaited, would make pg_get_indexdef wait.
-- Privileges: none. PostgreSQL 13 and later.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT i.indexrelid::bigint AS oid,
       pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index AS i
WHERE i.indexrelid = ANY (%(oids)s::oid[])
  AND i.indrelid NOT IN (SELECT l.relation FROM locked AS l)
  AND i.indexrelid NOT IN (SELECT l.relation FROM locked AS l)
