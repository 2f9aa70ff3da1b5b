-- Installed extensions, and the version that CREATE EXTENSION would install now.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_extension, pg_available_extensions().
SELECT e.oid::bigint AS oid,
       e.extname::text AS name,
       format('CREATE EXTENSION %%I WITH SCHEMA %%I', e.extname, n.nspname) AS definition,
       e.extversion AS version,
       a.default_version,
       n.nspname::text AS schema,
       pg_get_userbyid(e.extowner)::text AS owner,
       (SELECT count(*)
        FROM pg_depend AS d
        WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e')
           AS objects,
       obj_description(e.oid, 'pg_extension') AS comment
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
LEFT JOIN pg_available_extensions() AS a (name, default_version, comment) ON a.name = e.extname
ORDER BY e.extname
