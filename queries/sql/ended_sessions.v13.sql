-- End every process in some databases; one row for each that was told to end.
-- Privileges: superuser, or membership in pg_signal_backend or in each session's role (a
-- superuser's sessions only a superuser ends). PostgreSQL 13 and later. Source: pg_stat_activity.
SELECT a.pid::int AS pid,
       pg_terminate_backend(a.pid) AS told
FROM pg_stat_activity AS a
WHERE a.datid = ANY(%(oids)s) AND a.pid <> pg_backend_pid()
