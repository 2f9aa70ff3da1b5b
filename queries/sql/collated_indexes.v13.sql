-- Indexes that are sorted by a drifted collation: those of the default one, and of the others.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_index, pg_collation.
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_am AS am ON am.oid = c.relam
WHERE c.relkind = 'i'
  AND am.amname IN ('btree', 'gist', 'spgist', 'brin')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
  AND EXISTS (SELECT FROM unnest(i.indcollation::oid[]) AS k (collation_oid)
              JOIN pg_collation AS co ON co.oid = k.collation_oid
              WHERE (co.collprovider = 'd' AND %(is_default)s)
                 OR (co.collversion IS NOT NULL
                     AND co.collversion IS DISTINCT FROM pg_collation_actual_version(co.oid)))
ORDER BY 1
