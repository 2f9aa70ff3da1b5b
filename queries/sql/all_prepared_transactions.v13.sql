-- Prepared transactions (two-phase commit) of the whole cluster: each holds its locks and old rows.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_prepared_xacts.
SELECT p.gid::text AS gid,
       p.owner::text AS owner,
       p.database::text AS database,
       extract(epoch FROM clock_timestamp() - p.prepared)::float8 AS seconds
FROM pg_prepared_xacts AS p
ORDER BY p.prepared
