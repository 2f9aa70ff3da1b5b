-- Roles that own something in the current database, are granted something, or have settings in it,
-- and the roles these are members of. Predefined roles (pg_*) are left out: every server has them.
-- Privileges: none. PostgreSQL 13 and later.
-- Source: pg_shdepend (which leaves out the bootstrap superuser, hence the owners), pg_auth_members.
WITH RECURSIVE database AS (
    SELECT d.oid, d.datdba FROM pg_database AS d WHERE d.datname = current_database()
), named (oid) AS (
    SELECT s.refobjid
    FROM pg_shdepend AS s, database AS d
    WHERE s.refclassid = 'pg_authid'::regclass
      AND (s.dbid = d.oid OR (s.classid = 'pg_database'::regclass AND s.objid = d.oid))
    UNION SELECT d.datdba FROM database AS d
    UNION SELECT n.nspowner FROM pg_namespace AS n WHERE n.oid >= 16384
    UNION SELECT c.relowner FROM pg_class AS c WHERE c.oid >= 16384
    UNION SELECT p.proowner FROM pg_proc AS p WHERE p.oid >= 16384
    UNION SELECT t.typowner FROM pg_type AS t WHERE t.oid >= 16384
    UNION SELECT s.setrole FROM pg_db_role_setting AS s, database AS d
          WHERE s.setdatabase = d.oid AND s.setrole <> 0
    UNION SELECT m.roleid FROM pg_auth_members AS m JOIN named AS n ON n.oid = m.member
)
SELECT r.rolname::text AS name,
       r.rolsuper AS is_superuser,
       r.rolinherit AS inherits,
       r.rolcreaterole AS creates_roles,
       r.rolcreatedb AS creates_databases,
       r.rolcanlogin AS can_login,
       r.rolreplication AS replicates,
       r.rolbypassrls AS bypasses_row_security,
       r.rolconnlimit::int AS connection_limit,
       ARRAY(SELECT DISTINCT g.rolname::text
             FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid
             WHERE m.member = r.oid ORDER BY 1) AS member_of
FROM pg_roles AS r
WHERE r.oid IN (SELECT n.oid FROM named AS n) AND r.rolname !~ '^pg_'
ORDER BY r.rolname
