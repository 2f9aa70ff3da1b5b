-- Every process that is in one of some databases: clients, walsenders, workers of any kind.
-- Privileges: none to see them; pg_read_all_stats for what they run. PostgreSQL 13 and later.
-- Source: pg_stat_activity.
SELECT a.pid::int AS pid,
       a.datname::text AS database,
       coalesce(a.usename::text, '') AS role,
       coalesce(a.application_name, '') AS application,
       coalesce(a.backend_type, '') AS backend_type,
       coalesce(host(a.client_addr), '') AS client
FROM pg_stat_activity AS a
WHERE a.datid = ANY(%(oids)s) AND a.pid <> pg_backend_pid()
ORDER BY a.backend_start, a.pid
