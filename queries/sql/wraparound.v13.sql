-- How far each database is from running out of transaction ids and multixact ids.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_database.
SELECT d.datname::text AS database,
       age(d.datfrozenxid)::bigint AS xid_age,
       mxid_age(d.datminmxid)::bigint AS multixact_age,
       current_setting('autovacuum_freeze_max_age')::bigint AS freeze_max_age
FROM pg_database AS d
ORDER BY age(d.datfrozenxid) DESC
