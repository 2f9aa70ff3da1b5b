-- Who besides superusers may call functions that reach the server's files or steer the server.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_proc.proacl.
SELECT p.oid::regprocedure::text AS name,
       CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
           AS grantee
FROM pg_proc AS p
CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE p.pronamespace = 'pg_catalog'::regnamespace
    AND p.proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file',
                      'lo_import', 'lo_export', 'pg_reload_conf', 'pg_rotate_logfile',
                      'pg_switch_wal', 'pg_promote', 'pg_stat_reset', 'pg_stat_reset_shared')
    AND a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner
    AND NOT COALESCE(r.rolsuper OR r.rolname ~ '^pg_', false)
ORDER BY 1, 2
