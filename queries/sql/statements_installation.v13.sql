-- What stands between a session and pg_stat_statements: always one row.
-- The library's settings are in pg_settings only when it was preloaded; shared_preload_libraries
-- itself is hidden from ordinary roles.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_settings, pg_extension.
SELECT EXISTS (SELECT FROM pg_settings AS s WHERE s.name = 'pg_stat_statements.max') AS is_preloaded,
       n.nspname::text AS schema,
       e.extversion AS version,
       a.default_version::text AS available_version,
       COALESCE(has_schema_privilege(n.oid, 'USAGE'), false) AS uses_schema,
       COALESCE(has_table_privilege(v.oid, 'SELECT'), false) AS reads_view,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all_stats,
       current_user::text AS role
FROM (SELECT 1) AS always
LEFT JOIN pg_extension AS e ON e.extname = 'pg_stat_statements'
LEFT JOIN pg_namespace AS n ON n.oid = e.extnamespace
LEFT JOIN pg_class AS v ON v.relnamespace = n.oid AND v.relname = 'pg_stat_statements'
LEFT JOIN pg_available_extensions AS a ON a.name = 'pg_stat_statements'
