-- Columns of tables, views and materialized views of user schemas, or of one relation.
-- A default is null where an ACCESS EXCLUSIVE lock, held or awaited, would make pg_get_expr wait.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_attribute, pg_attrdef,
-- pg_description (joined: col_description is run anew for each row).
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT a.attrelid::bigint AS relation_oid,
       a.attnum::int AS number,
       a.attname::text AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS not_null,
       CASE WHEN a.atthasdef AND a.attrelid NOT IN (SELECT l.relation FROM locked AS l)
            THEN pg_get_expr(d.adbin, d.adrelid) END AS default_expression,
       a.atthasdef AND a.attrelid IN (SELECT l.relation FROM locked AS l) AS default_unread,
       a.attidentity::text AS identity,
       a.attgenerated::text AS generated,
       CASE WHEN a.attcollation <> t.typcollation
            THEN quote_ident(co.collname) END AS collation,
       de.description AS comment
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
LEFT JOIN pg_description AS de
       ON de.objoid = a.attrelid AND de.classoid = 'pg_class'::regclass AND de.objsubid = a.attnum
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0
  AND NOT a.attisdropped
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
  AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s::text[]))
  AND (%(relation)s::oid IS NULL OR a.attrelid = %(relation)s::oid)
ORDER BY a.attrelid, a.attnum
