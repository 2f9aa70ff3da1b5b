-- The lines of pg_ident.conf.
-- Privileges: superuser, or SELECT on the view and EXECUTE on pg_ident_file_mappings().
-- PostgreSQL 15 and later. Source: pg_ident_file_mappings.
SELECT m.line_number AS line,
       COALESCE(m.map_name, '') AS map,
       COALESCE(m.sys_name, '') AS system_name,
       COALESCE(m.pg_username, '') AS role,
       m.error
FROM pg_catalog.pg_ident_file_mappings AS m
ORDER BY m.line_number
