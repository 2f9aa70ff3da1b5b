-- Whether Prisma's table of migrations is there, and where.
-- Privileges: none. PostgreSQL 13 and later.
SELECT n.nspname::text AS schema, has_table_privilege(c.oid, 'SELECT') AS is_readable
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = '_prisma_migrations' AND c.relkind = 'r'
ORDER BY n.nspname = 'public' DESC, n.nspname
