-- One table's indexes (but those of constraints), triggers, policies, rules and extended statistics
-- with the statement that makes each; triggers that a partition has because its parent has them are left out. A definition is null
-- where an ACCESS EXCLUSIVE lock, held or awaited, would make us wait.
-- Privileges: none. PostgreSQL 13 and later.
-- Source: pg_index, pg_trigger, pg_policy, pg_rewrite, pg_statistic_ext.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
),
here AS MATERIALIZED (
    SELECT c.oid,
           c.oid IN (SELECT l.relation FROM locked AS l) AS locked,
           format('%%I.%%I', n.nspname, c.relname) AS qualified
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = %(relation)s::oid
)
SELECT 'trigger' AS kind,
       t.tgname::text AS name,
       quote_ident(t.tgname) AS quoted_name,
       CASE WHEN NOT h.locked THEN pg_get_triggerdef(t.oid) END AS definition,
       t.tgenabled::text AS enabled,
       obj_description(t.oid, 'pg_trigger') AS comment
FROM here AS h
JOIN pg_trigger AS t ON t.tgrelid = h.oid AND NOT t.tgisinternal AND t.tgparentid = 0
UNION ALL
SELECT 'policy',
       p.polname::text,
       quote_ident(p.polname),
       CASE WHEN NOT h.locked
            THEN format('CREATE POLICY %%I ON %%s', p.polname, h.qualified)
                 || CASE WHEN p.polpermissive THEN '' ELSE ' AS RESTRICTIVE' END
                 || CASE p.polcmd WHEN 'r' THEN ' FOR SELECT' WHEN 'a' THEN ' FOR INSERT'
                                  WHEN 'w' THEN ' FOR UPDATE' WHEN 'd' THEN ' FOR DELETE'
                                  ELSE '' END
                 || CASE WHEN p.polroles = '{0}' THEN ''
                         ELSE ' TO ' || (SELECT string_agg(quote_ident(pg_get_userbyid(r.role)), ', ')
                                         FROM unnest(p.polroles) AS r (role)) END
                 || COALESCE(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
                 || COALESCE(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
            END,
       'O',
       obj_description(p.oid, 'pg_policy')
FROM here AS h
JOIN pg_policy AS p ON p.polrelid = h.oid
UNION ALL
SELECT 'rule',
       r.rulename::text,
       quote_ident(r.rulename),
       CASE WHEN NOT h.locked
                 AND NOT EXISTS (SELECT
                                 FROM pg_depend AS d
                                 JOIN locked AS l ON l.relation = d.refobjid
                                 WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                                   AND d.refclassid = 'pg_class'::regclass)
            THEN rtrim(pg_get_ruledef(r.oid), '; ') END,
       r.ev_enabled::text,
       obj_description(r.oid, 'pg_rewrite')
FROM here AS h
JOIN pg_rewrite AS r ON r.ev_class = h.oid AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'statistics',
       s.stxname::text,
       format('%%I.%%I', n.nspname, s.stxname),
       CASE WHEN NOT h.locked THEN pg_get_statisticsobjdef(s.oid) END,
       'O',
       obj_description(s.oid, 'pg_statistic_ext')
FROM here AS h
JOIN pg_statistic_ext AS s ON s.stxrelid = h.oid
JOIN pg_namespace AS n ON n.oid = s.stxnamespace
UNION ALL
SELECT CASE WHEN EXISTS (SELECT FROM pg_inherits AS p WHERE p.inhrelid = i.indexrelid)
            THEN 'inherited index' ELSE 'index' END,
       c.relname::text,
       format('%%I.%%I', n.nspname, c.relname),
       CASE WHEN NOT h.locked AND i.indexrelid NOT IN (SELECT l.relation FROM locked AS l)
            THEN pg_get_indexdef(i.indexrelid) END,
       CASE WHEN i.indisvalid THEN 'O' ELSE 'D' END,
       obj_description(c.oid, 'pg_class')
FROM here AS h
JOIN pg_index AS i ON i.indrelid = h.oid
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT EXISTS (SELECT
                  FROM pg_constraint AS co
                  WHERE co.conindid = i.indexrelid AND co.contype IN ('p', 'u', 'x'))
ORDER BY kind, name
