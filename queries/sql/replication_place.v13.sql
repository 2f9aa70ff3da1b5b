-- Whether a server is a primary or a standby, and how far a standby's replay is behind.
-- The age of the last transaction grows while the primary is idle, so it counts only while
-- something received waits to be replayed, or nothing is being received.
-- Privileges: none. PostgreSQL 13 and later. Source: recovery information functions,
-- pg_stat_wal_receiver (whose pid is shown to every role).
WITH place AS (
    SELECT pg_is_in_recovery() AS in_recovery,
           pg_last_wal_receive_lsn() AS received,
           pg_last_wal_replay_lsn() AS replayed,
           EXISTS (SELECT FROM pg_stat_wal_receiver AS r WHERE r.pid IS NOT NULL) AS receives
)
SELECT p.in_recovery,
       CASE WHEN p.in_recovery
            THEN greatest(pg_wal_lsn_diff(p.received, p.replayed), 0)::bigint END
           AS bytes_to_replay,
       CASE WHEN NOT p.in_recovery THEN NULL
            WHEN p.receives AND p.received <= p.replayed THEN 0
            ELSE EXTRACT(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
       END::float8 AS seconds_behind,
       p.in_recovery AND p.receives AS receives
FROM place AS p
