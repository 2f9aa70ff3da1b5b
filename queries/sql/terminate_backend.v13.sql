-- End a session, if it is still the same session: pids are given out again.
-- Privileges: pg_signal_backend, or the session's own role; a superuser's session needs one.
-- PostgreSQL 13 and later. Source: pg_terminate_backend.
SELECT pg_terminate_backend(a.pid) AS sent
FROM pg_stat_activity AS a
WHERE a.pid = %(pid)s::int
  AND a.backend_start = %(started_at)s::timestamptz
