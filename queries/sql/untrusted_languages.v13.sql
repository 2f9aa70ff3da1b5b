-- Languages in which a function can do what the server's account can, and functions that use them.
-- C is always there; of it only functions outside catalogs and extensions are told.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_language, pg_proc.
SELECT l.lanname::text AS language,
       count(p.oid) AS functions,
       COALESCE((array_agg(quote_ident(n.nspname) || '.' || quote_ident(p.proname)
                           ORDER BY n.nspname, p.proname)
                 FILTER (WHERE p.oid IS NOT NULL))[1:20], '{}') AS names
FROM pg_language AS l
LEFT JOIN pg_proc AS p ON p.prolang = l.oid AND p.pronamespace <> 'pg_catalog'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
LEFT JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE NOT l.lanpltrusted AND l.lanname <> 'internal'
GROUP BY l.lanname
HAVING l.lanname <> 'c' OR count(p.oid) > 0
ORDER BY l.lanname
