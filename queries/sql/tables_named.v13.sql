-- Tables of these names in user schemas: a question for a profile's tables that costs the same
-- where there are ten thousand others.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_namespace.
SELECT n.nspname::text AS schema,
       c.relname::text AS name
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = ANY (%(names)s::text[]::name[])
  AND c.relkind IN ('r', 'p')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
