-- The whole text of one session's statement, as far as track_activity_query_size keeps it.
-- Privileges: pg_read_all_stats for other roles' sessions. PostgreSQL 13 and later.
SELECT a.query AS text
FROM pg_stat_activity AS a
WHERE a.pid = %(pid)s::int
  AND a.backend_start = %(started_at)s::timestamptz
