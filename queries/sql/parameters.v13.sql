-- Every setting as this session has it. What only superusers may see is not among the rows.
-- Privileges: pg_read_all_settings for all of them. PostgreSQL 13 and later. Source: pg_settings.
SELECT s.name, s.setting, s.unit, s.vartype AS kind, s.context, s.source, s.boot_val AS built_in,
       s.pending_restart
FROM pg_catalog.pg_settings AS s
