-- Tables locked by transactions that had not ended at the point where recovery is paused:
-- nobody can read them there. Privileges: none. PostgreSQL 13 and later.
-- Source: pg_locks of the startup process.
SELECT count(*)::int AS relations
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE a.backend_type = 'startup'
  AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted
