-- Prepared transactions (two-phase commit) of one database: they keep it from being renamed.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_prepared_xacts.
SELECT p.gid::text AS gid,
       p.owner::text AS owner,
       p.prepared AS prepared_at
FROM pg_prepared_xacts AS p
WHERE p.database = %(name)s
ORDER BY p.prepared
