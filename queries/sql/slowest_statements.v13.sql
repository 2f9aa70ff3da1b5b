-- The statements of this database that took most time in all, at most %(count)s.
-- The text is given only of kinds whose literals pg_stat_statements replaces by $n; a CREATE ROLE,
-- say, is kept with its password. {statements} is the view (1.8 and later) with its schema.
-- Privileges: SELECT on the view; pg_read_all_stats for other roles' statements.
-- PostgreSQL 13 and later.
SELECT s.queryid AS id,
       CASE WHEN s.query ~* '^\s*(select|insert|update|delete|merge|with|values)\M'
            THEN left(s.query, 2000) END AS text,
       s.calls AS calls,
       s.mean_exec_time AS mean_ms,
       s.total_exec_time AS total_ms
FROM {statements} AS s
WHERE s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND s.calls > 0
ORDER BY s.total_exec_time DESC
LIMIT %(count)s
