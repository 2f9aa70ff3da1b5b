-- Functions that run with their owner's rights, outside the catalogs and extensions.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_proc.
SELECT quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '('
           || pg_get_function_identity_arguments(p.oid) || ')' AS name,
       p.prokind = 'p' AS is_procedure,
       r.rolname::text AS owner,
       r.rolsuper AS owner_is_superuser,
       EXISTS (SELECT FROM unnest(p.proconfig) AS c (entry)
               WHERE c.entry LIKE 'search\_path=%%') AS sets_search_path,
       EXISTS (SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
               WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') AS is_public,
       p.prorettype IN ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype)
           AS is_trigger
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_roles AS r ON r.oid = p.proowner
WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
