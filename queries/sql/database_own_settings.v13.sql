-- ALTER DATABASE ... SET and ALTER ROLE ... IN DATABASE ... SET of one database by its OID.
-- role '' is every role. Privileges: none. PostgreSQL 13 and later. Source: pg_db_role_setting.
SELECT CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole)::text END AS role,
       split_part(c.setting, '=', 1) AS name,
       substr(c.setting, strpos(c.setting, '=') + 1) AS value
FROM pg_db_role_setting AS s
CROSS JOIN LATERAL unnest(s.setconfig) WITH ORDINALITY AS c (setting, position)
WHERE s.setdatabase = %(oid)s
ORDER BY 1, c.position
