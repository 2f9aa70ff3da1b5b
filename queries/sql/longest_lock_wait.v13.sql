-- The session that waits longest for a lock, by when its statement began: this server does not
-- say when the wait did, so it is at most so long.
-- Privileges: pg_read_all_stats to see when others' statements began.
-- PostgreSQL 13. Source: pg_locks, pg_stat_activity.
SELECT w.pid AS pid,
       w.seconds AS seconds,
       w.relation AS relation
FROM (SELECT 1 AS always) AS one
LEFT JOIN (
    SELECT l.pid, EXTRACT(epoch FROM clock_timestamp() - a.query_start)::float8 AS seconds,
           CASE WHEN l.database = (SELECT d.oid FROM pg_database AS d
                                   WHERE d.datname = current_database())
                THEN l.relation::regclass::text END AS relation
    FROM pg_locks AS l
    JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE NOT l.granted
    ORDER BY a.query_start
    LIMIT 1
) AS w ON true
