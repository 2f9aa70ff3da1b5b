-- Functions that bear one of %(names)s (lower case) and are not part of PostgreSQL itself.
-- Privileges: none. PostgreSQL 13 and later.
SELECT n.nspname::text AS schema,
       p.proname::text AS name,
       p.provolatile = 'v' AS is_volatile,
       l.lanname::text AS language
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang
WHERE lower(p.proname) = ANY (%(names)s::text[])
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND p.prokind <> 'p'
ORDER BY 1, 2
