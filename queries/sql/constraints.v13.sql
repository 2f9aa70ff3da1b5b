-- Primary keys, unique, check, exclusion constraints and foreign keys of user schemas, or of one relation.
-- A check's expression is null where an ACCESS EXCLUSIVE lock, held or awaited, would make us wait.
-- trigger_states are the enabled states of a foreign key's own triggers (O, D, R, A; one each).
-- Privileges: none. PostgreSQL 13 to 17. Source: pg_constraint, pg_trigger.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
),
states AS MATERIALIZED (
    SELECT t.tgconstraint, string_agg(DISTINCT t.tgenabled::text, '' ORDER BY t.tgenabled::text) AS states
    FROM pg_trigger AS t
    WHERE t.tgconstraint <> 0
    GROUP BY t.tgconstraint
)
SELECT co.oid::bigint AS oid,
       co.conrelid::bigint AS table_oid,
       n.nspname::text AS schema,
       t.relname::text AS table,
       co.conname::text AS name,
       co.contype::text AS type,
       ARRAY(SELECT (SELECT a.attname::text
                     FROM pg_attribute AS a
                     WHERE a.attrelid = co.conrelid AND a.attnum = k.attnum)
             FROM unnest(co.conkey) WITH ORDINALITY AS k (attnum, position)
             ORDER BY k.position) AS columns,
       CASE WHEN co.contype = 'c' AND co.conrelid NOT IN (SELECT l.relation FROM locked AS l)
            THEN pg_get_expr(co.conbin, co.conrelid) END AS expression,
       co.convalidated AS is_validated,
       true AS is_enforced,
       co.condeferrable AS is_deferrable,
       co.condeferred AS is_deferred,
       co.conparentid <> 0 AS is_inherited,
       NULLIF(co.conindid, 0)::bigint AS index_oid,
       NULLIF(co.confrelid, 0)::bigint AS target_oid,
       fn.nspname::text AS target_schema,
       f.relname::text AS target_table,
       ARRAY(SELECT (SELECT a.attname::text
                     FROM pg_attribute AS a
                     WHERE a.attrelid = co.confrelid AND a.attnum = k.attnum)
             FROM unnest(co.confkey) WITH ORDINALITY AS k (attnum, position)
             ORDER BY k.position) AS target_columns,
       co.confupdtype::text AS on_update,
       co.confdeltype::text AS on_delete,
       co.confmatchtype::text AS match_type,
       s.states AS trigger_states,
       co.conrelid IN (SELECT l.relation FROM locked AS l)
           OR co.confrelid IN (SELECT l.relation FROM locked AS l) AS locked
FROM pg_constraint AS co
JOIN pg_class AS t ON t.oid = co.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_class AS f ON f.oid = co.confrelid
LEFT JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
LEFT JOIN states AS s ON s.tgconstraint = co.oid
WHERE co.contype IN ('p', 'u', 'c', 'x', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
  AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s::text[]))
  AND (%(relation)s::oid IS NULL OR co.conrelid = %(relation)s::oid)
ORDER BY n.nspname, t.relname, co.conname
