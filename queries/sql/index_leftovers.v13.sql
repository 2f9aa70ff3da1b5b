-- Indexes of a table that are not valid: what an interrupted rebuild may have left.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_index, pg_class.
SELECT c.oid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS name
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indrelid = %(table)s::oid
  AND NOT i.indisvalid
  AND c.relname ~ '_cc(new|old)[0-9]*$'
ORDER BY c.relname
