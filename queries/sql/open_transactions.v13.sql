-- Transactions of client backends that are open for longer than a given number of seconds.
-- Privileges: pg_read_all_stats to see other roles' times. PostgreSQL 13 and later.
-- Source: pg_stat_activity.
SELECT a.pid,
       a.usename::text AS role,
       a.application_name AS application,
       a.datname::text AS database,
       a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS transaction_seconds,
       extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_seconds,
       age(a.backend_xmin)::bigint AS xmin_age
FROM pg_stat_activity AS a
WHERE a.backend_type = 'client backend'
  AND a.pid <> pg_backend_pid()
  AND extract(epoch FROM clock_timestamp() - a.xact_start) >= %(seconds)s
ORDER BY a.xact_start
