-- Tables on which triggers that enforce foreign keys do not fire (disabled, or for replicas only).
-- Privileges: none. PostgreSQL 13 and later. Source: pg_trigger, pg_constraint.
SELECT c.oid::bigint AS table_oid,
       n.nspname::text AS schema,
       c.relname::text AS table,
       array_agg(DISTINCT co.conname::text ORDER BY co.conname::text) AS keys,
       array_agg(DISTINCT co.oid::bigint) AS key_oids
FROM pg_trigger AS t
JOIN pg_constraint AS co ON co.oid = t.tgconstraint
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE co.contype = 'f' AND t.tgenabled IN ('D', 'R')
GROUP BY c.oid, n.nspname, c.relname
ORDER BY n.nspname, c.relname
