-- Which of some role names exist on the server.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_roles.
SELECT r.rolname::text AS name,
       r.rolsuper AS is_superuser,
       pg_has_role(current_user, r.oid, 'MEMBER') AS is_ours
FROM pg_roles AS r
WHERE r.rolname = ANY(%(names)s)
ORDER BY r.rolname
