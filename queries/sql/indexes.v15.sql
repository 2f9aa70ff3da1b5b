-- Indexes of user schemas, or of one relation, with what they are made of; definitions and sizes are asked separately.
-- An element is a column's name, or null for an expression; a predicate is null (and locked is true)
-- where an ACCESS EXCLUSIVE lock, held or awaited, would make pg_get_expr wait.
-- Privileges: none. PostgreSQL 15 and later. Source: pg_index, pg_class, pg_am, pg_constraint.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT i.indexrelid::bigint AS oid,
       i.indrelid::bigint AS table_oid,
       n.nspname::text AS schema,
       t.relname::text AS table,
       c.relname::text AS name,
       am.amname::text AS method,
       i.indisunique AS is_unique,
       i.indisprimary AS is_primary,
       i.indisexclusion AS is_exclusion,
       i.indisvalid AS is_valid,
       i.indisready AND i.indislive AS is_ready,
       i.indisreplident AS is_replica_identity,
       i.indnullsnotdistinct AS nulls_not_distinct,
       i.indnkeyatts::int AS key_count,
       ARRAY(SELECT (SELECT a.attname::text
                     FROM pg_attribute AS a
                     WHERE a.attrelid = i.indrelid AND a.attnum = k.attnum)
             FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
             ORDER BY k.position) AS elements,
       i.indclass::oid[]::bigint[] AS operator_classes,
       i.indcollation::oid[]::bigint[] AS collations,
       i.indoption::int2[]::int[] AS options,
       i.indexprs IS NOT NULL AS has_expressions,
       CASE WHEN i.indexprs IS NOT NULL AND k.locked IS NOT TRUE
            THEN pg_get_expr(i.indexprs, i.indrelid) END AS expressions,
       i.indpred IS NOT NULL AS is_partial,
       CASE WHEN i.indpred IS NOT NULL AND k.locked IS NOT TRUE
            THEN pg_get_expr(i.indpred, i.indrelid) END AS predicate,
       k.locked IS TRUE AS locked,
       c.relkind = 'I' AS is_partitioned,
       (SELECT h.inhparent::bigint FROM pg_inherits AS h WHERE h.inhrelid = i.indexrelid LIMIT 1)
           AS parent_oid,
       co.conname::text AS constraint_name,
       c.reltuples::bigint AS estimated_rows,
       c.relpages::bigint * current_setting('block_size')::bigint AS estimated_bytes
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_constraint AS co
       ON co.conindid = i.indexrelid AND co.contype IN ('p', 'u', 'x')
LEFT JOIN (SELECT DISTINCT l.relation, true AS locked FROM locked AS l) AS k
       ON k.relation = i.indrelid
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
  AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s::text[]))
  AND (%(relation)s::oid IS NULL OR i.indrelid = %(relation)s::oid)
ORDER BY n.nspname, t.relname, c.relname
