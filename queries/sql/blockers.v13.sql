-- The processes that a process waits for; empty when it waits for none, and for one that has ended.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_blocking_pids.
SELECT pg_blocking_pids(%(pid)s::int) AS pids
