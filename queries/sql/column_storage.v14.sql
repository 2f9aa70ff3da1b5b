-- How one relation's columns are kept, where it is not as their type would have it, and whether
-- they come from a parent.
-- inherited_default and inherited_not_null are what a parent's column of that name has.
-- Privileges: none. PostgreSQL 14 and later. Source: pg_attribute, pg_type.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT a.attnum::int AS number,
       quote_ident(a.attname) AS quoted_name,
       a.attislocal AS is_local,
       a.attinhcount > 0 AS is_inherited,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END
           AS collation,
       CASE WHEN a.attstorage <> t.typstorage
            THEN CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                   WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END AS storage,
       CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
       NULLIF(a.attstattarget, -1)::int AS statistics_target,
       COALESCE(a.attoptions, '{}')::text[] AS options,
       (SELECT pg_get_expr(d.adbin, d.adrelid)
        FROM pg_inherits AS i
        JOIN pg_attribute AS p ON p.attrelid = i.inhparent AND p.attname = a.attname
        JOIN pg_attrdef AS d ON d.adrelid = p.attrelid AND d.adnum = p.attnum
        WHERE i.inhrelid = a.attrelid
          AND i.inhparent NOT IN (SELECT l.relation FROM locked AS l)
        ORDER BY i.inhseqno
        LIMIT 1) AS inherited_default,
       EXISTS (SELECT
               FROM pg_inherits AS i
               JOIN pg_attribute AS p ON p.attrelid = i.inhparent AND p.attname = a.attname
               WHERE i.inhrelid = a.attrelid AND p.attnotnull) AS inherited_not_null
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = %(relation)s::oid
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY a.attnum
