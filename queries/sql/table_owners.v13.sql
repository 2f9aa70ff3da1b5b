-- Who owns how many tables here, and whether the owner has sessions now.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_stat_activity.
SELECT r.rolname::text AS owner,
       r.rolsuper AS is_superuser,
       r.rolcanlogin AS can_login,
       count(*) AS tables,
       (SELECT count(*) FROM pg_stat_activity AS a
        WHERE a.usesysid = r.oid AND a.datname = current_database()
            AND a.pid <> pg_backend_pid()) AS sessions
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_roles AS r ON r.oid = c.relowner
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
GROUP BY r.oid, r.rolname, r.rolsuper, r.rolcanlogin
ORDER BY 4 DESC, 1
