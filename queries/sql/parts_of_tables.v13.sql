-- Tables, their columns, constraints and indexes, each as a part that can be compared with the part
-- of the same name in another database: what it is made of, in PostgreSQL's own words.
-- Inherited constraints and indexes, members of extensions and NOT NULLs by name are left out.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_class, pg_attribute, pg_constraint, pg_index.
WITH place AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, n.nspname::text AS schema, c.relispartition,
           format('%%I.%%I', n.nspname, c.relname) AS qualified
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'm')
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s::text[]))
      AND NOT EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT CASE c.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
       p.schema AS schema,
       NULL::text AS table,
       c.relname::text AS name,
       p.qualified AS sql_name,
       'pg_class'::regclass::oid::bigint AS class_oid,
       c.oid::bigint AS oid,
       0 AS sub_id,
       jsonb_build_object(
           'persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
           'partition key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
           'parents', (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
                       FROM pg_inherits AS i WHERE i.inhrelid = c.oid),
           'bound', CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
           'options', array_to_string(c.reloptions, ', '),
           'row security', CASE WHEN c.relforcerowsecurity THEN 'forced'
                                WHEN c.relrowsecurity THEN 'enabled' END,
           'replica identity', CASE WHEN c.relreplident <> 'd' THEN c.relreplident::text END,
           'comment', obj_description(c.oid, 'pg_class')) AS facets
FROM place AS p
JOIN pg_class AS c ON c.oid = p.oid
WHERE c.relkind <> 'm'
UNION ALL
SELECT 'column',
       p.schema,
       p.qualified,
       a.attname::text,
       quote_ident(a.attname),
       'pg_class'::regclass::oid::bigint,
       p.oid::bigint,
       a.attnum::int,
       jsonb_build_object(
           'type', format_type(a.atttypid, a.atttypmod),
           'collation', CASE WHEN a.attcollation <> t.typcollation
                             THEN a.attcollation::regcollation::text END,
           'not null', CASE WHEN a.attnotnull THEN 'NOT NULL' END,
           'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(e.adbin, e.adrelid) END,
           'generated', CASE WHEN a.attgenerated <> ''
                             THEN format('GENERATED ALWAYS AS (%%s) %%s', pg_get_expr(e.adbin, e.adrelid),
                                         CASE a.attgenerated WHEN 'v' THEN 'VIRTUAL' ELSE 'STORED' END)
                        END,
           'identity', (SELECT format('GENERATED %%s AS IDENTITY (START WITH %%s INCREMENT BY %%s'
                                      ' MINVALUE %%s MAXVALUE %%s CACHE %%s%%s)',
                                      CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
                                      s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
                                      CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)
                        FROM pg_depend AS d
                        JOIN pg_sequence AS s ON s.seqrelid = d.objid
                        WHERE a.attidentity <> '' AND d.classid = 'pg_class'::regclass
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
                          AND d.refobjsubid = a.attnum AND d.deptype = 'i'),
           'comment', col_description(a.attrelid, a.attnum))
FROM place AS p
JOIN pg_attribute AS a ON a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
WHERE p.relkind <> 'm' AND NOT p.relispartition
UNION ALL
SELECT 'constraint',
       p.schema,
       p.qualified,
       co.conname::text,
       quote_ident(co.conname),
       'pg_constraint'::regclass::oid::bigint,
       co.oid::bigint,
       0,
       jsonb_build_object('definition', pg_get_constraintdef(co.oid),
                          'comment', obj_description(co.oid, 'pg_constraint'))
FROM place AS p
JOIN pg_constraint AS co ON co.conrelid = p.oid
WHERE co.contype IN ('p', 'u', 'x', 'c', 'f') AND co.conislocal AND co.conparentid = 0
UNION ALL
SELECT 'index',
       p.schema,
       p.qualified,
       c.relname::text,
       format('%%I.%%I', p.schema, c.relname),
       'pg_class'::regclass::oid::bigint,
       c.oid::bigint,
       0,
       jsonb_build_object(
           -- A partitioned table's index is to be made for its partitions too.
           'definition', replace(pg_get_indexdef(c.oid), quote_ident(c.relname) || ' ON ONLY ',
                                 quote_ident(c.relname) || ' ON '),
           'state', CASE WHEN NOT i.indisvalid THEN 'invalid' END,
           'comment', obj_description(c.oid, 'pg_class'))
FROM place AS p
JOIN pg_index AS i ON i.indrelid = p.oid
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = c.oid)
  AND NOT EXISTS (SELECT FROM pg_constraint AS co
                  WHERE co.conindid = c.oid AND co.contype IN ('p', 'u', 'x'))
ORDER BY 2, 1, 3 NULLS FIRST, 8, 5
