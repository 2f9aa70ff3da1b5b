-- Views that read tables under row security with the rights of the view's owner.
-- Privileges: none. PostgreSQL 15 and later. Source: pg_rewrite, pg_depend.
SELECT DISTINCT quote_ident(n.nspname) || '.' || quote_ident(v.relname) AS name,
       quote_ident(m.nspname) || '.' || quote_ident(t.relname) AS reads,
       pg_get_userbyid(v.relowner)::text AS owner
FROM pg_class AS v
JOIN pg_namespace AS n ON n.oid = v.relnamespace
JOIN pg_rewrite AS r ON r.ev_class = v.oid
JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass
JOIN pg_class AS t ON t.oid = d.refobjid AND t.relrowsecurity
JOIN pg_namespace AS m ON m.oid = t.relnamespace
WHERE v.relkind = 'v'
    AND NOT COALESCE((SELECT bool_or(o.option_value IN ('true', 'on', 'yes', '1'))
                      FROM pg_options_to_table(v.reloptions) AS o
                      WHERE o.option_name = 'security_invoker'), false)
ORDER BY 1, 2
