-- How many connections there are, and how many applications may have.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_stat_activity, pg_settings.
SELECT count(*) FILTER (WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid())
           AS connections,
       count(*) FILTER (WHERE cardinality(pg_blocking_pids(a.pid)) > 0) AS blocked,
       current_setting('max_connections')::bigint
           - current_setting('superuser_reserved_connections')::bigint
           - COALESCE(current_setting('reserved_connections', true)::bigint, 0) AS available
FROM pg_stat_activity AS a
