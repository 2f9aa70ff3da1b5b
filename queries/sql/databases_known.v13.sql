-- Databases by name or by OID, with what a cut-over has to know of them.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_database, pg_stat_activity.
SELECT d.oid::bigint AS oid,
       d.datname::text AS name,
       pg_get_userbyid(d.datdba)::text AS owner,
       d.datallowconn AS allows_connections,
       d.datistemplate AS is_template,
       d.datconnlimit::int AS connection_limit,
       shobj_description(d.oid, 'pg_database') AS comment,
       (SELECT t.spcname::text FROM pg_tablespace AS t WHERE t.oid = d.dattablespace) AS tablespace
FROM pg_database AS d
WHERE d.datname = ANY(%(names)s) OR d.oid = ANY(%(oids)s)
ORDER BY d.datname
