-- The rules of pg_hba.conf in their order, as they stand in the files now.
-- Privileges: superuser, or SELECT on the view and EXECUTE on pg_hba_file_rules().
-- PostgreSQL 16 and later. Source: pg_hba_file_rules.
SELECT COALESCE(h.file_name, '') AS file,
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
ORDER BY h.rule_number NULLS LAST, h.line_number
