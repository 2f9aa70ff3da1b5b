-- Views, functions, triggers, policies, rules and extended statistics, each as a part that can be
-- compared with the part of the same name in another database. Members of extensions, internal
-- triggers and a range type's constructors are left out.
-- Privileges: none. PostgreSQL 13 and later.
-- Source: pg_class, pg_proc, pg_trigger, pg_policy, pg_rewrite, pg_statistic_ext.
WITH place AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, n.nspname::text AS schema,
           format('%%I.%%I', n.nspname, c.relname) AS qualified
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s::text[]))
      AND NOT EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END AS kind,
       p.schema AS schema,
       NULL::text AS table,
       c.relname::text AS name,
       p.qualified AS sql_name,
       'pg_class'::regclass::oid::bigint AS class_oid,
       c.oid::bigint AS oid,
       0 AS sub_id,
       jsonb_build_object(
           'definition', rtrim(pg_get_viewdef(c.oid), E'; \n'),
           'options', array_to_string(c.reloptions, ', '),
           'columns', (SELECT string_agg(format('%%I %%s', a.attname,
                                                format_type(a.atttypid, a.atttypmod)),
                                         ', ' ORDER BY a.attnum)
                       FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0),
           'comment', obj_description(c.oid, 'pg_class')) AS facets
FROM place AS p
JOIN pg_class AS c ON c.oid = p.oid
WHERE c.relkind IN ('v', 'm')
UNION ALL
SELECT CASE f.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
       n.nspname::text,
       NULL,
       f.proname::text,
       format('%%I.%%I(%%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
       'pg_proc'::regclass::oid::bigint,
       f.oid::bigint,
       0,
       jsonb_build_object(
           'definition', CASE WHEN f.prokind <> 'a' THEN rtrim(pg_get_functiondef(f.oid), E'\n ')
                ELSE format('CREATE AGGREGATE %%I.%%I(%%s) (SFUNC = %%s, STYPE = %%s%%s%%s)',
                            n.nspname, f.proname, pg_get_function_arguments(f.oid),
                            g.aggtransfn::regproc, format_type(g.aggtranstype, NULL),
                            CASE WHEN g.aggfinalfn <> 0
                                 THEN format(', FINALFUNC = %%s', g.aggfinalfn::regproc) END,
                            CASE WHEN g.agginitval IS NOT NULL
                                 THEN format(', INITCOND = %%L', g.agginitval) END) END,
           'result', pg_get_function_result(f.oid),
           'arguments', pg_get_function_arguments(f.oid),
           'comment', obj_description(f.oid, 'pg_proc'))
FROM pg_proc AS f
JOIN pg_namespace AS n ON n.oid = f.pronamespace
LEFT JOIN pg_aggregate AS g ON g.aggfnoid = f.oid
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s::text[]))
  AND NOT EXISTS (SELECT FROM pg_depend AS d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid
                    AND d.deptype IN ('e', 'i'))
UNION ALL
SELECT 'trigger',
       p.schema,
       p.qualified,
       t.tgname::text,
       quote_ident(t.tgname),
       'pg_trigger'::regclass::oid::bigint,
       t.oid::bigint,
       0,
       jsonb_build_object('definition', pg_get_triggerdef(t.oid),
                          'state', CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                                    WHEN 'A' THEN 'ENABLE ALWAYS' END,
                          'comment', obj_description(t.oid, 'pg_trigger'))
FROM place AS p
JOIN pg_trigger AS t ON t.tgrelid = p.oid AND NOT t.tgisinternal AND t.tgparentid = 0
UNION ALL
SELECT 'policy',
       p.schema,
       p.qualified,
       y.polname::text,
       quote_ident(y.polname),
       'pg_policy'::regclass::oid::bigint,
       y.oid::bigint,
       0,
       jsonb_build_object('definition',
           format('CREATE POLICY %%I ON %%s', y.polname, p.qualified)
           || CASE WHEN y.polpermissive THEN '' ELSE ' AS RESTRICTIVE' END
           || CASE y.polcmd WHEN 'r' THEN ' FOR SELECT' WHEN 'a' THEN ' FOR INSERT'
                            WHEN 'w' THEN ' FOR UPDATE' WHEN 'd' THEN ' FOR DELETE' ELSE '' END
           || CASE WHEN y.polroles = '{0}' THEN ''
                   ELSE ' TO ' || (SELECT string_agg(quote_ident(pg_get_userbyid(r.role)), ', ')
                                   FROM unnest(y.polroles) AS r (role)) END
           || COALESCE(' USING (' || pg_get_expr(y.polqual, y.polrelid) || ')', '')
           || COALESCE(' WITH CHECK (' || pg_get_expr(y.polwithcheck, y.polrelid) || ')', ''))
FROM place AS p
JOIN pg_policy AS y ON y.polrelid = p.oid
UNION ALL
SELECT 'rule',
       p.schema,
       p.qualified,
       r.rulename::text,
       quote_ident(r.rulename),
       'pg_rewrite'::regclass::oid::bigint,
       r.oid::bigint,
       0,
       jsonb_build_object('definition', rtrim(pg_get_ruledef(r.oid), '; '))
FROM place AS p
JOIN pg_rewrite AS r ON r.ev_class = p.oid AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'statistics',
       p.schema,
       p.qualified,
       x.stxname::text,
       format('%%I.%%I', n.nspname, x.stxname),
       'pg_statistic_ext'::regclass::oid::bigint,
       x.oid::bigint,
       0,
       jsonb_build_object('definition', pg_get_statisticsobjdef(x.oid))
FROM place AS p
JOIN pg_statistic_ext AS x ON x.stxrelid = p.oid
JOIN pg_namespace AS n ON n.oid = x.stxnamespace
ORDER BY 2, 1, 3 NULLS FIRST, 5
