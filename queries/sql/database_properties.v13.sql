-- What pg_dump leaves out about a database itself: owner, encoding, locale, limits, comment, grants.
-- Before 15 every database has libc's locales and no recorded collation version.
-- Privileges: none. PostgreSQL 13 and 14. Source: pg_database, pg_shdescription.
SELECT d.datname::text AS name,
       pg_get_userbyid(d.datdba)::text AS owner,
       pg_encoding_to_char(d.encoding)::text AS encoding,
       'c' AS provider,
       d.datcollate::text AS collate,
       d.datctype::text AS ctype,
       NULL::text AS locale,
       NULL::text AS rules,
       NULL::text AS collation_version,
       d.datconnlimit::int AS connection_limit,
       d.datistemplate AS is_template,
       d.datallowconn AS allows_connections,
       (SELECT t.spcname::text FROM pg_tablespace AS t WHERE t.oid = d.dattablespace) AS tablespace,
       shobj_description(d.oid, 'pg_database') AS comment,
       ARRAY(SELECT a::text FROM unnest(d.datacl) AS a) AS grants
FROM pg_database AS d
WHERE d.datname = current_database()
