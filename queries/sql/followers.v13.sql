-- Who receives WAL from this server: standbys, and programs that only store it or copy the server.
-- bytes_behind counts to what is replayed, or to what is on disk where nothing replays.
-- sync: async, potential, sync, quorum. A standby has followers too, when they cascade.
-- Privileges: pg_read_all_stats, else all but the names is null. PostgreSQL 13 and later.
-- Source: pg_stat_replication.
WITH written AS (
    SELECT CASE WHEN pg_is_in_recovery()
                THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                ELSE pg_current_wal_lsn() END AS lsn
)
SELECT r.application_name AS name,
       r.usename::text AS role,
       host(r.client_addr) AS address,
       r.state,
       r.sync_state AS sync,
       greatest(pg_wal_lsn_diff(w.lsn, coalesce(r.replay_lsn, r.flush_lsn)), 0)::bigint
           AS bytes_behind,
       EXTRACT(epoch FROM r.replay_lag)::float8 AS seconds_behind
FROM pg_stat_replication AS r
CROSS JOIN written AS w
ORDER BY r.application_name, r.backend_start, r.pid
