-- Who is a member of which role, and may pass the membership on.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_auth_members.
SELECT m.rolname::text AS member,
       m.rolsuper AS is_superuser,
       g.rolname::text AS role,
       a.admin_option AS is_admin
FROM pg_auth_members AS a
JOIN pg_roles AS m ON m.oid = a.member
JOIN pg_roles AS g ON g.oid = a.roleid
WHERE m.rolname !~ '^pg_'
ORDER BY 1, 3
