-- How one relation was created, beyond columns, keys and indexes: partitioning, parents, storage,
-- security, a view's query. What would open a relation under an ACCESS EXCLUSIVE lock, held or
-- awaited, is null: locked says so of the relation, query_locked of those that a view reads.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_inherits, pg_rewrite, pg_depend.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT c.oid::bigint AS oid,
       format('%%I.%%I', n.nspname, c.relname) AS qualified,
       k.locked,
       k.query_locked,
       CASE WHEN c.relkind = 'p' AND NOT k.locked THEN pg_get_partkeydef(c.oid) END
           AS partition_key,
       CASE WHEN c.relispartition AND NOT k.locked THEN pg_get_expr(c.relpartbound, c.oid) END
           AS partition_bound,
       ARRAY(SELECT format('%%I.%%I', pn.nspname, p.relname)
             FROM pg_inherits AS i
             JOIN pg_class AS p ON p.oid = i.inhparent
             JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
             WHERE i.inhrelid = c.oid
             ORDER BY i.inhseqno) AS parents,
       c.relispartition
           AND ARRAY(SELECT a.attname FROM pg_attribute AS a
                     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                     ORDER BY a.attnum)
             = ARRAY(SELECT a.attname FROM pg_attribute AS a
                     JOIN pg_inherits AS i ON i.inhrelid = c.oid AND i.inhparent = a.attrelid
                     WHERE a.attnum > 0 AND NOT a.attisdropped
                     ORDER BY a.attnum) AS follows_parent,
       COALESCE(c.reloptions, '{}')::text[]
           || ARRAY(SELECT 'toast.' || o.option
                    FROM pg_class AS tc, unnest(tc.reloptions) AS o (option)
                    WHERE tc.oid = c.reltoastrelid) AS options,
       ts.spcname::text AS tablespace,
       CASE WHEN c.relkind IN ('r', 'm') AND am.amname <> 'heap' THEN am.amname::text END
           AS access_method,
       CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS of_type,
       c.relreplident::text AS replica_identity,
       (SELECT quote_ident(ic.relname)
        FROM pg_index AS i JOIN pg_class AS ic ON ic.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND i.indisreplident LIMIT 1) AS replica_identity_index,
       (SELECT quote_ident(ic.relname)
        FROM pg_index AS i JOIN pg_class AS ic ON ic.oid = i.indexrelid
        WHERE i.indrelid = c.oid AND i.indisclustered LIMIT 1) AS cluster_index,
       c.relforcerowsecurity AS forces_row_security,
       fs.srvname::text AS foreign_server,
       COALESCE(f.ftoptions, '{}')::text[] AS foreign_options,
       COALESCE(c.relacl::text[], '{}') AS grants,
       CASE WHEN c.relkind IN ('v', 'm') AND NOT k.query_locked AND NOT k.locked
            THEN rtrim(pg_get_viewdef(c.oid), E'; \n') END AS query
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_tablespace AS ts ON ts.oid = c.reltablespace
LEFT JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_foreign_table AS f ON f.ftrelid = c.oid
LEFT JOIN pg_foreign_server AS fs ON fs.oid = f.ftserver
CROSS JOIN LATERAL (
    SELECT c.oid IN (SELECT l.relation FROM locked AS l) AS locked,
           EXISTS (SELECT
                   FROM pg_rewrite AS r
                   JOIN pg_depend AS d
                     ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                    AND d.refclassid = 'pg_class'::regclass
                   JOIN locked AS l ON l.relation = d.refobjid
                   WHERE r.ev_class = c.oid) AS query_locked
) AS k
WHERE c.oid = %(relation)s::oid
