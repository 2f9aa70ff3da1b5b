-- Triggers of users that are switched off, without those of foreign keys.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_trigger.
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS table,
       quote_ident(t.tgname) AS name
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled = 'D'
  AND n.nspname !~ '^pg_(temp|toast_temp)_'
ORDER BY 1, 2
