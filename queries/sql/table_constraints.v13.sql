-- One table's constraints as ALTER TABLE ... ADD CONSTRAINT takes them, inherited ones too; n is a
-- NOT NULL (18 and later have them by name). A definition is null where an ACCESS EXCLUSIVE lock,
-- held or awaited, would make pg_get_constraintdef wait.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_constraint.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT co.oid::bigint AS oid,
       co.conname::text AS name,
       quote_ident(co.conname) AS quoted_name,
       co.contype::text AS type,
       COALESCE(co.conkey::int[], '{}') AS columns,
       CASE WHEN co.conrelid NOT IN (SELECT l.relation FROM locked AS l)
            THEN pg_get_constraintdef(co.oid) END AS definition,
       co.convalidated AS is_validated,
       co.conislocal AS is_local,
       co.coninhcount > 0 AS is_inherited,
       co.connoinherit AS no_inherit,
       COALESCE(ic.reloptions, '{}')::text[] AS index_options,
       CASE WHEN ic.oid IS NOT NULL THEN format('%%I.%%I', n.nspname, ic.relname) END AS index_name,
       obj_description(co.oid, 'pg_constraint') AS comment
FROM pg_constraint AS co
LEFT JOIN pg_class AS ic ON ic.oid = co.conindid AND co.contype IN ('p', 'u', 'x')
LEFT JOIN pg_namespace AS n ON n.oid = ic.relnamespace
WHERE co.conrelid = %(relation)s::oid
  AND co.contype IN ('p', 'u', 'c', 'x', 'f', 'n')
ORDER BY array_position(ARRAY['p', 'u', 'x', 'c', 'f', 'n'], co.contype::text), co.conname
