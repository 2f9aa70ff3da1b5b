-- What PUBLIC may do in this database, beyond what every database grants inside its catalogs.
-- kind: database, schema, relation, column, default. What extensions grant is theirs and left out.
-- Privileges: none. PostgreSQL 13 and later. Source: aclexplode of the catalogs.
WITH own AS (
    SELECT n.oid, n.nspname, n.nspowner, n.nspacl
    FROM pg_namespace AS n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
),
members AS (
    SELECT d.classid, d.objid
    FROM pg_depend AS d
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
)
SELECT 'database' AS kind, quote_ident(d.datname) AS name, '' AS schema,
       string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges,
       pg_get_userbyid(d.datdba)::text AS owner
FROM pg_database AS d
CROSS JOIN LATERAL aclexplode(COALESCE(d.datacl, acldefault('d', d.datdba))) AS a
WHERE d.datname = current_database() AND a.grantee = 0
GROUP BY d.datname, d.datdba
UNION ALL
SELECT 'schema', quote_ident(n.nspname), n.nspname::text,
       string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type),
       pg_get_userbyid(n.nspowner)::text
FROM own AS n
CROSS JOIN LATERAL aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) AS a
WHERE a.grantee = 0
GROUP BY n.nspname, n.nspowner
UNION ALL
SELECT 'relation', quote_ident(n.nspname) || '.' || quote_ident(c.relname), n.nspname::text,
       string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type),
       pg_get_userbyid(c.relowner)::text
FROM pg_class AS c
JOIN own AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) AS a
WHERE a.grantee = 0 AND c.relacl IS NOT NULL
    AND NOT EXISTS (SELECT FROM members AS m
                    WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
GROUP BY n.nspname, c.relname, c.relowner
UNION ALL
SELECT 'column',
       quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' (' || quote_ident(t.attname)
           || ')',
       n.nspname::text,
       string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type),
       pg_get_userbyid(c.relowner)::text
FROM pg_attribute AS t
JOIN pg_class AS c ON c.oid = t.attrelid
JOIN own AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(t.attacl) AS a
WHERE a.grantee = 0 AND t.attacl IS NOT NULL AND NOT t.attisdropped
GROUP BY n.nspname, c.relname, t.attname, c.relowner
UNION ALL
SELECT 'default', 'role ' || quote_ident(pg_get_userbyid(d.defaclrole)),
       COALESCE(n.nspname::text, ''),
       string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) || ' on '
           || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
                                   WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
                                   WHEN 'n' THEN 'schemas' ELSE 'large objects' END,
       pg_get_userbyid(d.defaclrole)::text
FROM pg_default_acl AS d
LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
-- A default entry without schema repeats the built-in grants: EXECUTE and USAGE to PUBLIC.
WHERE a.grantee = 0
    AND NOT (d.defaclnamespace = 0 AND d.defaclobjtype IN ('f', 'T'))
GROUP BY d.defaclrole, n.nspname, d.defaclobjtype
ORDER BY 1, 2
