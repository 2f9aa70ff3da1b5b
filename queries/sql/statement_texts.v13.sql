-- The texts of some statements of this database; the server reads a whole file for it.
-- {counted} is the function behind the view pg_stat_statements, with its schema.
-- Privileges: EXECUTE on the function; pg_read_all_stats for other roles' texts.
-- PostgreSQL 13 and later.
SELECT s.queryid AS id,
       min(left(s.query, 20000)) AS text
FROM {counted}(true) AS s
WHERE s.queryid = ANY (%(ids)s::bigint[])
  AND s.dbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND s.query IS NOT NULL
GROUP BY s.queryid
