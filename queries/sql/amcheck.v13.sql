-- Where amcheck's functions are, and whether the role may call them.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_extension, pg_proc.
SELECT quote_ident(n.nspname) AS schema,
       bool_or(p.proname = 'verify_heapam') AS has_heap,
       bool_and(has_function_privilege(p.oid, 'EXECUTE')) AS is_allowed
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
JOIN pg_proc AS p ON p.pronamespace = e.extnamespace
                 AND p.proname IN ('bt_index_check', 'verify_heapam')
WHERE e.extname = 'amcheck'
GROUP BY n.nspname
