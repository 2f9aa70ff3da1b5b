-- In which form each login role's password is kept, never the password or its verifier.
-- Privileges: superuser (SELECT on pg_authid). PostgreSQL 13 and later. Source: pg_authid.
SELECT r.rolname::text AS role,
       CASE WHEN r.rolpassword IS NULL THEN 'none'
            WHEN r.rolpassword LIKE 'SCRAM-SHA-256$%%' THEN 'scram'
            WHEN r.rolpassword LIKE 'md5%%' THEN 'md5'
            ELSE 'other' END AS form,
       CASE WHEN r.rolpassword ~ '^SCRAM-SHA-256\$\d{1,9}:'
            THEN substring(r.rolpassword FROM '^SCRAM-SHA-256\$(\d{1,9}):')::int
       END AS iterations
FROM pg_authid AS r
WHERE r.rolcanlogin
ORDER BY r.rolname
