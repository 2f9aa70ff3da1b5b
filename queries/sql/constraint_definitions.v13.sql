-- Constraints of the named tables as pg_get_constraintdef writes them: primary keys, unique and
-- exclusion constraints and foreign keys, those that partitions inherit left out.
-- An exclusion constraint's is null where an ACCESS EXCLUSIVE lock, held or awaited, would make us
-- wait; the others are written without opening the table.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_constraint.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT co.oid::bigint AS oid,
       CASE WHEN co.contype <> 'x' OR co.conrelid NOT IN (SELECT l.relation FROM locked AS l)
            THEN pg_get_constraintdef(co.oid) END AS definition
FROM pg_constraint AS co
WHERE co.contype IN ('p', 'u', 'x', 'f')
  AND (co.contype <> 'f' OR co.conparentid = 0)
  AND co.conrelid = ANY (%(tables)s::oid[])
