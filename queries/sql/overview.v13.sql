-- The figures of the Overview, one row; cheap enough to ask every second.
-- Privileges: pg_read_all_stats to see other roles' sessions, else their times and states are null.
-- PostgreSQL 13 to 15. Source: pg_stat_database, pg_stat_activity, pg_replication_slots,
-- pg_stat_replication, pg_stat_archiver.
WITH sessions AS MATERIALIZED (
    SELECT a.pid, a.state, a.xact_start, a.state_change, a.wait_event_type, a.application_name
    FROM pg_stat_activity AS a
    WHERE a.backend_type = 'client backend'
),
longest AS (
    SELECT s.pid, s.state, EXTRACT(epoch FROM clock_timestamp() - s.xact_start)::float8 AS seconds
    FROM sessions AS s
    WHERE s.xact_start IS NOT NULL AND s.application_name <> %(own_name)s
    ORDER BY s.xact_start
    LIMIT 1
),
slots AS (
    SELECT count(*) FILTER (WHERE NOT r.active) AS inactive,
           max(pg_wal_lsn_diff(
               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                    ELSE pg_current_wal_lsn() END, r.restart_lsn))
               FILTER (WHERE NOT r.active) AS retained
    FROM pg_replication_slots AS r
),
standbys AS (
    SELECT count(*) AS number,
           max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn))
               FILTER (WHERE NOT pg_is_in_recovery()) AS behind
    FROM pg_stat_replication AS r
)
SELECT clock_timestamp() AS at,
       d.xact_commit + d.xact_rollback AS transactions,
       d.xact_rollback AS rollbacks,
       d.blks_hit AS blocks_hit,
       d.blks_read AS blocks_read,
       d.deadlocks AS deadlocks,
       d.temp_bytes AS temp_bytes,
       d.stats_reset AS reset_at,
       (SELECT count(*) FROM sessions)::int AS connections,
       (SELECT count(*) FROM sessions AS s WHERE s.state = 'active')::int AS active,
       (SELECT count(*) FROM sessions AS s WHERE s.state LIKE 'idle in transaction%%')::int
           AS idle_in_transaction,
       (SELECT count(*) FROM sessions AS s WHERE s.wait_event_type = 'Lock')::int
           AS waiting_for_lock,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int AS reserved_connections,
       (SELECT l.pid FROM longest AS l) AS longest_pid,
       (SELECT l.state FROM longest AS l) AS longest_state,
       (SELECT l.seconds FROM longest AS l) AS longest_seconds,
       (SELECT max(age(b.datfrozenxid)) FROM pg_database AS b)::bigint AS oldest_xid_age,
       current_setting('autovacuum_freeze_max_age')::bigint AS freeze_max_age,
       (SELECT count(*) FROM pg_prepared_xacts)::int AS prepared_transactions,
       (SELECT s.number FROM standbys AS s)::int AS standbys,
       (SELECT s.behind FROM standbys AS s)::bigint AS standby_bytes_behind,
       (SELECT s.inactive FROM slots AS s)::int AS inactive_slots,
       (SELECT s.retained FROM slots AS s)::bigint AS slot_bytes_retained,
       current_setting('archive_mode') AS archive_mode,
       r.last_archived_time AS last_archived_at,
       r.last_failed_time AS last_archive_failure_at,
       pg_is_in_recovery() AS in_recovery,
       CASE WHEN pg_is_in_recovery()
            THEN EXTRACT(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8
       END AS replay_seconds_behind
FROM pg_stat_database AS d
CROSS JOIN pg_stat_archiver AS r
WHERE d.datname = current_database()
