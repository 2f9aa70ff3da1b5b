-- End the sessions of the asking role that carry an application name; one row each.
-- It is an action, not a question: only ever asked with a name that the console made up itself.
-- Privileges: none for the role's own sessions. PostgreSQL 13 and later.
SELECT a.pid AS pid,
       pg_terminate_backend(a.pid) AS ended
FROM pg_stat_activity AS a
WHERE a.application_name = %(application_name)s
  AND a.usename = current_user
  AND a.pid <> pg_backend_pid()
