-- Which object of the user's schemas needs which: a view its columns, a foreign key its target's
-- index, a trigger its function. A view's rule stands for the view, a default for its column, an
-- array type for its element, a row type for its relation, an index of a constraint for that.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_depend.
SELECT DISTINCT
       CASE WHEN r.oid IS NOT NULL OR e.oid IS NOT NULL THEN 'pg_class'::regclass
            ELSE d.classid END::oid::bigint AS class_oid,
       COALESCE(r.ev_class, e.adrelid, d.objid)::bigint AS oid,
       COALESCE(e.adnum, d.objsubid)::int AS sub_id,
       CASE WHEN co.oid IS NOT NULL THEN 'pg_constraint'::regclass
            WHEN t.typrelid <> 0 AND tc.relkind <> 'c' THEN 'pg_class'::regclass
            ELSE d.refclassid END::oid::bigint AS needed_class_oid,
       CASE WHEN co.oid IS NOT NULL THEN co.oid
            WHEN t.typrelid <> 0 AND tc.relkind <> 'c' THEN t.typrelid
            WHEN t.oid IS NOT NULL THEN t.oid
            ELSE d.refobjid END::bigint AS needed_oid,
       CASE WHEN co.oid IS NOT NULL THEN 0 ELSE d.refobjsubid END AS needed_sub_id
FROM pg_depend AS d
LEFT JOIN pg_rewrite AS r
       ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'
LEFT JOIN pg_attrdef AS e ON d.classid = 'pg_attrdef'::regclass AND e.oid = d.objid
LEFT JOIN pg_type AS rt ON d.refclassid = 'pg_type'::regclass AND rt.oid = d.refobjid
LEFT JOIN pg_type AS t
       ON t.oid = CASE WHEN rt.typelem <> 0 AND rt.typtype = 'b' THEN rt.typelem ELSE rt.oid END
LEFT JOIN pg_class AS tc ON tc.oid = t.typrelid
LEFT JOIN pg_constraint AS co
       ON d.refclassid = 'pg_class'::regclass AND co.conindid = d.refobjid
      AND co.contype IN ('p', 'u', 'x')
WHERE d.deptype IN ('n', 'a')
  AND d.refobjid >= 16384
  AND d.objid >= 16384
  AND d.classid IN ('pg_class'::regclass, 'pg_rewrite'::regclass, 'pg_proc'::regclass,
                    'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_constraint'::regclass,
                    'pg_attrdef'::regclass, 'pg_type'::regclass)
  AND d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass,
                       'pg_constraint'::regclass)
ORDER BY 1, 2, 3, 4, 5, 6
