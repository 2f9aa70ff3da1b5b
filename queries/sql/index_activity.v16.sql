-- How often each user index was used since statistics were last reset.
-- Privileges: none. PostgreSQL 16 and later. Source: pg_stat_user_indexes.
SELECT s.indexrelid::bigint AS oid,
       s.idx_scan AS scans,
       s.idx_tup_read AS entries_read,
       s.idx_tup_fetch AS rows_fetched,
       s.last_idx_scan AS last_scan
FROM pg_stat_user_indexes AS s
