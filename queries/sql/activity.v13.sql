-- Sessions and the server's own workers as they are now, ours left out.
-- A role without pg_read_all_stats sees of other roles' sessions only that they are there.
-- Who blocks is asked only of those that wait, as it locks the server's table of locks.
-- Privileges: pg_read_all_stats for other roles' sessions. PostgreSQL 13.
-- Source: pg_stat_activity, pg_blocking_pids.
SELECT a.pid AS pid,
       a.backend_start AS started_at,
       a.leader_pid AS leader_pid,
       a.backend_type AS kind,
       a.datname::text AS database,
       a.usename::text AS role,
       a.application_name AS application,
       CASE WHEN a.client_port = -1 THEN 'local' ELSE host(a.client_addr) END AS client,
       a.state AS state,
       a.wait_event_type AS wait_class,
       a.wait_event AS wait_event,
       date_part('epoch', n.at - a.query_start) AS query_seconds,
       date_part('epoch', n.at - a.state_change) AS state_seconds,
       date_part('epoch', n.at - a.xact_start) AS transaction_seconds,
       NULL::bigint AS query_id,
       left(a.query, %(text_length)s) AS query,
       CASE WHEN a.wait_event_type = 'Lock' OR a.wait_event = 'SafeSnapshot'
            THEN pg_blocking_pids(a.pid) || pg_safe_snapshot_blocking_pids(a.pid)
            ELSE '{}'
       END AS blocked_by,
       a.query = '<insufficient privilege>' AS is_hidden
FROM pg_stat_activity AS a
CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) AS n
WHERE a.application_name IS DISTINCT FROM %(own_name)s
  AND (a.datid IS NOT NULL
       OR a.backend_type IN ('client backend', 'parallel worker', 'autovacuum worker', 'walsender'))
ORDER BY a.pid
