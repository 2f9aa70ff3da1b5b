-- Databases whose comment begins with a given text: the scratch databases that the console made.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_database, pg_shdescription.
SELECT d.datname::text AS name,
       shobj_description(d.oid, 'pg_database') AS comment,
       (SELECT count(*)::int FROM pg_stat_activity AS a WHERE a.datid = d.oid) AS sessions
FROM pg_database AS d
WHERE starts_with(shobj_description(d.oid, 'pg_database'), %(beginning)s)
ORDER BY d.datname
