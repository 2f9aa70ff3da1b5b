-- Queries of this database that a standby ended because replay needed what they held, by cause.
-- Counted since the statistics were reset; a primary has none.
-- Privileges: none. PostgreSQL 16 and later. Source: pg_stat_database_conflicts.
SELECT c.cause, c.number
FROM pg_stat_database_conflicts AS d
CROSS JOIN LATERAL (VALUES
    ('snapshot', d.confl_snapshot),
    ('lock', d.confl_lock),
    ('buffer pin', d.confl_bufferpin),
    ('deadlock', d.confl_deadlock),
    ('tablespace', d.confl_tablespace),
    ('logical slot', d.confl_active_logicalslot)
) AS c (cause, number)
WHERE d.datname = current_database() AND c.number > 0
ORDER BY c.number DESC, c.cause
