-- Every lock that is waited for, every lock held on the same thing, and the rows waiters hold.
-- A prepared transaction holds locks without a process: its pid is 0, and its gid is given.
-- Names are resolved in this database only; a number is given for others.
-- Privileges: none. PostgreSQL 14 and later. Source: pg_locks, pg_prepared_xacts.
WITH locks AS MATERIALIZED (
    SELECT l.*, ROW(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid,
                    l.transactionid, l.classid, l.objid, l.objsubid)::text AS object
    FROM pg_locks AS l
),
prepared AS (
    -- Until a restart a prepared transaction keeps the virtual number of the one who prepared it.
    SELECT p.gid, l.virtualtransaction
    FROM pg_prepared_xacts AS p
    JOIN locks AS l ON l.locktype = 'transactionid' AND l.transactionid = p.transaction
    WHERE l.pid IS NULL AND l.granted
)
SELECT COALESCE(l.pid, 0) AS pid,
       p.gid AS gid,
       l.granted AS is_granted,
       l.locktype AS kind,
       l.mode AS mode,
       l.object AS object,
       date_part('epoch', clock_timestamp() - l.waitstart) AS waited_seconds,
       CASE WHEN n.nspname = 'public' THEN quote_ident(c.relname)
            ELSE COALESCE(quote_ident(n.nspname) || '.' || quote_ident(c.relname), l.relation::text)
       END AS relation,
       b.datname::text AS database,
       l.page AS page,
       l.tuple::int AS tuple,
       l.transactionid::text AS transaction,
       l.classid::bigint AS class_id,
       l.objid::bigint AS object_id,
       l.objsubid::int AS object_part
FROM locks AS l
JOIN pg_database AS d ON d.datname = current_database()
LEFT JOIN pg_database AS b ON b.oid = l.database
LEFT JOIN pg_class AS c ON c.oid = l.relation AND l.database IN (0, d.oid)
LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN prepared AS p ON l.pid IS NULL AND p.virtualtransaction = l.virtualtransaction
WHERE l.object IN (SELECT w.object FROM locks AS w WHERE NOT w.granted)
   OR (l.locktype = 'tuple' AND l.pid IN (SELECT w.pid FROM locks AS w WHERE NOT w.granted))
