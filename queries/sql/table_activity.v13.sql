-- Row and vacuum statistics of every user table since statistics were last reset.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_stat_user_tables.
SELECT s.relid::bigint AS oid,
       s.seq_scan AS sequential_scans,
       COALESCE(s.idx_scan, 0) AS index_scans,
       s.n_live_tup AS live_rows,
       s.n_dead_tup AS dead_rows,
       s.n_mod_since_analyze AS modified_since_analyze,
       GREATEST(s.last_vacuum, s.last_autovacuum) AS last_vacuum,
       GREATEST(s.last_analyze, s.last_autoanalyze) AS last_analyze
FROM pg_stat_user_tables AS s
