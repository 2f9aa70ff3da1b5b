-- Which sessions hold the advisory lock that Prisma's schema engine takes while it migrates this
-- database (pg_advisory_lock(72707369)).
-- Privileges: none. PostgreSQL 13 and later. Source: pg_locks.
SELECT l.pid AS pid
FROM pg_locks AS l
WHERE l.locktype = 'advisory'
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND l.classid = 0
  AND l.objid = 72707369
  AND l.objsubid = 1
  AND l.granted
ORDER BY l.pid
