-- What tells which program runs this server, and whether Citus spreads its tables.
-- A placeholder like cnpg.config_sha256 is not in pg_settings; current_setting() reads it.
-- Privileges: pg_read_all_stats to see Patroni's sessions, which a limited role takes for none.
-- PostgreSQL 13 and later. Source: pg_settings, pg_stat_activity, pg_extension.
SELECT current_setting('cluster_name') AS cluster_name,
       coalesce(current_setting('cnpg.config_sha256', true), '') <> '' AS has_cnpg_setting,
       ARRAY(SELECT s.name FROM pg_settings AS s WHERE s.source = 'command line' ORDER BY s.name)
           AS command_line,
       EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.application_name LIKE 'Patroni %%')
           AS has_patroni_session,
       coalesce(current_setting('allow_alter_system', true), 'on') = 'on' AS allows_alter_system,
       (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'citus') AS citus_version
