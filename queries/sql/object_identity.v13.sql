-- What an action is about, as it is now: an index or a constraint by oid, with its table and owner.
-- No row when it is gone.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_index, pg_constraint, pg_class.
SELECT n.nspname::text AS schema,
       c.relname::text AS name,
       t.relname::text AS table,
       i.indisvalid AS is_valid,
       pg_get_userbyid(t.relowner)::text AS owner,
       current_user::text AS role
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS t ON t.oid = i.indrelid
WHERE %(kind)s = 'index' AND i.indexrelid = %(oid)s::oid
UNION ALL
SELECT n.nspname::text,
       co.conname::text,
       t.relname::text,
       co.convalidated,
       pg_get_userbyid(t.relowner)::text,
       current_user::text
FROM pg_constraint AS co
JOIN pg_class AS t ON t.oid = co.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE %(kind)s = 'constraint' AND co.oid = %(oid)s::oid
