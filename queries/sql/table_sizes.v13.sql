-- The largest tables with their indexes and TOAST, by the catalog's pages: no lock is needed.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class.relpages (as of the last VACUUM).
WITH parts AS (
    SELECT COALESCE(i.indrelid, c.oid) AS oid, c.relpages, c.reltoastrelid
    FROM pg_class AS c
    LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE c.relkind IN ('r', 'm', 'i') AND c.relpages > 0
)
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
       (sum(p.relpages + COALESCE(t.relpages, 0)) * current_setting('block_size')::int)::bigint
           AS bytes
FROM parts AS p
JOIN pg_class AS c ON c.oid = p.oid AND c.relkind IN ('r', 'm')
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema'
LEFT JOIN pg_class AS t ON t.oid = p.reltoastrelid
GROUP BY n.nspname, c.relname
ORDER BY 2 DESC, 1
LIMIT %(count)s
