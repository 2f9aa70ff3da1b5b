-- Tables with row security or policies, and what their policies let through.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_policy.
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
       pg_get_userbyid(c.relowner)::text AS owner,
       c.relrowsecurity AS is_enabled,
       c.relforcerowsecurity AS is_forced,
       count(p.oid) AS policies,
       count(p.oid) FILTER (WHERE p.polpermissive
           AND (pg_get_expr(p.polqual, p.polrelid) = 'true'
                OR pg_get_expr(p.polwithcheck, p.polrelid) = 'true')) AS open_policies
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_policy AS p ON p.polrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND (c.relrowsecurity OR p.oid IS NOT NULL)
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
GROUP BY n.nspname, c.oid, c.relname, c.relowner, c.relrowsecurity, c.relforcerowsecurity
ORDER BY 1
