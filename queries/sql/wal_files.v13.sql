-- The WAL files that are kept, and their size.
-- Privileges: pg_monitor. PostgreSQL 13 and later. Source: pg_ls_waldir.
SELECT count(*) AS files,
       COALESCE(sum(w.size), 0)::bigint AS bytes
FROM pg_ls_waldir() AS w
