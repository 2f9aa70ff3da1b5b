-- The grants on one database, one privilege a row; the default ones where none were ever made.
-- grantee '' is PUBLIC. Privileges: none. PostgreSQL 13 and later. Source: pg_database.datacl.
SELECT pg_get_userbyid(a.grantor)::text AS grantor,
       CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END AS grantee,
       a.privilege_type AS privilege,
       a.is_grantable AS is_grantable,
       a.grantor = d.datdba AS is_from_owner
FROM pg_database AS d
CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
WHERE d.oid = %(oid)s
ORDER BY a.grantor <> d.datdba, 1, 2, 3
