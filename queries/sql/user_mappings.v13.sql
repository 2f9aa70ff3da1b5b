-- Mappings to foreign servers: for whom, and whether a password is kept in them (never which).
-- Options are hidden from roles that may not use the mapping; keeps_password is null then.
-- Privileges: superuser to see all. PostgreSQL 13 and later. Source: pg_user_mappings.
SELECT quote_ident(m.srvname) AS server,
       CASE WHEN m.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END AS role,
       CASE WHEN m.umoptions IS NOT NULL
            THEN EXISTS (SELECT FROM unnest(m.umoptions) AS o (entry)
                         WHERE o.entry ~ '^(password|passwd|secret)=')
       END AS keeps_password
FROM pg_user_mappings AS m
ORDER BY 1, 2
