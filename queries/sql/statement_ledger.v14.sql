-- When pg_stat_statements began to count, and how often it had to forget.
-- {info} is the view pg_stat_statements_info (extension 1.9 and later) with its schema.
-- Privileges: SELECT on the view. PostgreSQL 14 and later.
SELECT i.dealloc AS evictions,
       i.stats_reset AS reset_at
FROM {info} AS i
