-- Prisma's history of migrations; several rows of one name are normal. {table} is _prisma_migrations
-- with its schema. Of the logs of a failure only the first 4,000 characters.
-- Privileges: SELECT on the table. PostgreSQL 13 and later.
SELECT m.migration_name::text AS name,
       m.checksum::text AS checksum,
       m.started_at AS started_at,
       m.finished_at AS finished_at,
       m.rolled_back_at AS rolled_back_at,
       left(m.logs, 4000) AS logs
FROM {table} AS m
ORDER BY m.migration_name, m.started_at
