-- Calls and execution time of all statements counted for this database.
-- {statements} is the view pg_stat_statements (1.8 and later) with its schema.
-- Privileges: SELECT on the view. PostgreSQL 13 and later.
SELECT COALESCE(sum(s.calls), 0)::bigint AS calls,
       COALESCE(sum(s.total_exec_time), 0)::double precision AS total_ms,
       count(*) AS statements
FROM {statements} AS s
WHERE s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
