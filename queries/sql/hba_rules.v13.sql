-- The rules of pg_hba.conf in their order, as they stand in the file now.
-- Privileges: superuser, or SELECT on the view and EXECUTE on pg_hba_file_rules().
-- PostgreSQL 13 to 15. Source: pg_hba_file_rules.
SELECT '' AS file,
       h.line_number AS line,
       COALESCE(h.type, '') AS type,
       COALESCE(h.database, '{}') AS databases,
       COALESCE(h.user_name, '{}') AS users,
       h.address,
       h.netmask,
       COALESCE(h.auth_method, '') AS method,
       COALESCE(h.options, '{}') AS options,
       h.error
FROM pg_catalog.pg_hba_file_rules AS h
ORDER BY h.line_number
