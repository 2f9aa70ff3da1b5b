-- Whether an extension can be created here, and the schema it is in when it is there already.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_available_extensions, pg_extension.
SELECT EXISTS (SELECT FROM pg_available_extensions AS a WHERE a.name = %(name)s) AS is_available,
       (SELECT n.nspname::text
        FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = %(name)s) AS schema
