-- Settings that a role or a database brings into its sessions; no value that could be a secret.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_db_role_setting.
SELECT COALESCE(d.datname::text, '') AS database,
       COALESCE(r.rolname::text, '') AS role,
       COALESCE(r.rolsuper, false) AS is_superuser,
       split_part(c.entry, '=', 1) AS name,
       substr(c.entry, strpos(c.entry, '=') + 1) AS setting
FROM pg_db_role_setting AS s
LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
LEFT JOIN pg_roles AS r ON r.oid = s.setrole
CROSS JOIN LATERAL unnest(s.setconfig) AS c (entry)
WHERE s.setdatabase = 0 OR d.datname = current_database()
ORDER BY 1, 2, 4
