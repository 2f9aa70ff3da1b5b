-- This database's size on disk, and how many indexes its user schemas have.
-- Privileges: CONNECT on the database, or pg_read_all_stats. PostgreSQL 13 and later.
SELECT current_database()::text AS database,
       pg_database_size(current_database()) AS bytes,
       (SELECT count(*)
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('i', 'I')
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
          AND n.nspname !~ '^pg_(temp|toast_temp)_') AS indexes,
       now() AS read_at
