-- CREATE statements of the named functions, procedures and aggregates. A definition is null where a
-- body written in SQL names a table under an ACCESS EXCLUSIVE lock, held or awaited.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_proc, pg_aggregate, pg_depend.
WITH locked AS MATERIALIZED (
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
)
SELECT p.oid::bigint AS oid,
       CASE WHEN EXISTS (SELECT
                         FROM pg_depend AS d
                         JOIN locked AS l ON l.relation = d.refobjid
                         WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                           AND d.refclassid = 'pg_class'::regclass) THEN NULL
            WHEN p.prokind <> 'a' THEN rtrim(pg_get_functiondef(p.oid), E'\n ') || ';'
            ELSE format(E'CREATE AGGREGATE %%I.%%I(%%s) (\n    SFUNC = %%s,\n    STYPE = %%s',
                        n.nspname, p.proname, pg_get_function_arguments(p.oid),
                        a.aggtransfn::regproc, format_type(a.aggtranstype, NULL))
                 || CASE WHEN a.aggfinalfn <> 0
                         THEN format(E',\n    FINALFUNC = %%s', a.aggfinalfn::regproc) ELSE '' END
                 || CASE WHEN a.aggcombinefn <> 0
                         THEN format(E',\n    COMBINEFUNC = %%s', a.aggcombinefn::regproc)
                         ELSE '' END
                 || CASE WHEN a.agginitval IS NOT NULL
                         THEN format(E',\n    INITCOND = %%L', a.agginitval) ELSE '' END
                 || CASE WHEN p.proparallel <> 'u'
                         THEN format(E',\n    PARALLEL = %%s',
                                     CASE p.proparallel WHEN 's' THEN 'SAFE'
                                     ELSE 'RESTRICTED' END) ELSE '' END
                 || E'\n);'
            END AS definition
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
LEFT JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
WHERE p.oid = ANY (%(oids)s::oid[])
