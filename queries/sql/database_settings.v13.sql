-- ALTER DATABASE ... SET and ALTER ROLE ... IN DATABASE ... SET of the current database.
-- `setting` is NAME=VALUE as stored. Privileges: none. PostgreSQL 13 and later.
-- Source: pg_db_role_setting.
SELECT CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole)::text END AS role,
       c.setting::text AS setting
FROM pg_db_role_setting AS s
JOIN pg_database AS d ON d.oid = s.setdatabase
CROSS JOIN LATERAL unnest(s.setconfig) WITH ORDINALITY AS c (setting, position)
WHERE d.datname = current_database()
ORDER BY 1, c.position
