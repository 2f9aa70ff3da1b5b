-- Constraints as pg_get_constraintdef writes them: primary keys, unique and exclusion constraints and
-- foreign keys, those that partitions inherit left out.
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
JOIN pg_class AS t ON t.oid = co.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE co.contype IN ('p', 'u', 'x', 'f')
  AND NOT t.relispartition
  AND (co.contype <> 'f' OR co.conparentid = 0)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
