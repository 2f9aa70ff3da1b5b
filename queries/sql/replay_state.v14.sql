-- Where a recovering server stands: the last position and transaction it has replayed.
-- Paused only when replay has really stopped, not when that is only asked for.
-- Privileges: none. PostgreSQL 14 and later. Source: recovery information functions.
SELECT pg_is_in_recovery() AS in_recovery,
       CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() = 'paused'
            ELSE false END AS is_paused,
       pg_last_wal_replay_lsn()::text AS replayed_lsn,
       pg_last_xact_replay_timestamp() AS replayed_at,
       -- A promoted server's control file still names the old timeline until its next checkpoint.
       CASE WHEN pg_is_in_recovery() THEN (SELECT c.timeline_id FROM pg_control_checkpoint() AS c)
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int
       END AS timeline
