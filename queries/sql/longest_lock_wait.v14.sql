-- The session that waits longest for a lock.
-- Privileges: none. PostgreSQL 14 and later. Source: pg_locks.waitstart.
SELECT w.pid AS pid,
       w.seconds AS seconds,
       w.relation AS relation
FROM (SELECT 1 AS always) AS one
LEFT JOIN (
    SELECT l.pid, EXTRACT(epoch FROM clock_timestamp() - l.waitstart)::float8 AS seconds,
           CASE WHEN l.database = (SELECT d.oid FROM pg_database AS d
                                   WHERE d.datname = current_database())
                THEN l.relation::regclass::text END AS relation
    FROM pg_locks AS l
    WHERE NOT l.granted AND l.waitstart IS NOT NULL
    ORDER BY l.waitstart
    LIMIT 1
) AS w ON true
