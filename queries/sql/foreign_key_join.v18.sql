-- How PostgreSQL itself joins a foreign key's table with its target: operators, collations, and what
-- the asking role lacks to read the columns. No row when the constraint no longer exists.
-- Privileges: none. PostgreSQL 18 and later. Source: pg_constraint (conpfeqop, conperiod), pg_operator.
SELECT t.relkind = 'p' AS is_partitioned,
       f.relkind = 'p' AS target_is_partitioned,
       co.conperiod AS has_period,
       ARRAY(SELECT o.oprname::text
             FROM unnest(co.conpfeqop) WITH ORDINALITY AS k (op, position)
             JOIN pg_operator AS o ON o.oid = k.op
             ORDER BY k.position) AS operators,
       ARRAY(SELECT n.nspname::text
             FROM unnest(co.conpfeqop) WITH ORDINALITY AS k (op, position)
             JOIN pg_operator AS o ON o.oid = k.op
             JOIN pg_namespace AS n ON n.oid = o.oprnamespace
             ORDER BY k.position) AS operator_schemas,
       ARRAY(SELECT CASE WHEN a.attcollation <> b.attcollation THEN c.collname::text END
             FROM unnest(co.conkey, co.confkey) WITH ORDINALITY AS k (attnum, target, position)
             JOIN pg_attribute AS a ON a.attrelid = co.conrelid AND a.attnum = k.attnum
             JOIN pg_attribute AS b ON b.attrelid = co.confrelid AND b.attnum = k.target
             LEFT JOIN pg_collation AS c ON c.oid = b.attcollation
             ORDER BY k.position) AS collations,
       ARRAY(SELECT cn.nspname::text
             FROM unnest(co.confkey) WITH ORDINALITY AS k (target, position)
             JOIN pg_attribute AS b ON b.attrelid = co.confrelid AND b.attnum = k.target
             LEFT JOIN pg_collation AS c ON c.oid = b.attcollation
             LEFT JOIN pg_namespace AS cn ON cn.oid = c.collnamespace
             ORDER BY k.position) AS collation_schemas,
       row_security_active(co.conrelid) OR row_security_active(co.confrelid) AS row_security,
       array_remove(ARRAY[
           CASE WHEN NOT has_schema_privilege(t.relnamespace, 'USAGE')
                THEN format('GRANT USAGE ON SCHEMA %%I TO %%I;', tn.nspname, current_user) END,
           CASE WHEN NOT has_schema_privilege(f.relnamespace, 'USAGE') AND fn.oid <> tn.oid
                THEN format('GRANT USAGE ON SCHEMA %%I TO %%I;', fn.nspname, current_user) END,
           CASE WHEN EXISTS (SELECT FROM unnest(co.conkey) AS k (attnum)
                             WHERE NOT has_column_privilege(co.conrelid, k.attnum, 'SELECT'))
                THEN format('GRANT SELECT ON %%I.%%I TO %%I;', tn.nspname, t.relname, current_user)
                END,
           CASE WHEN f.oid <> t.oid
                 AND EXISTS (SELECT FROM unnest(co.confkey) AS k (attnum)
                             WHERE NOT has_column_privilege(co.confrelid, k.attnum, 'SELECT'))
                THEN format('GRANT SELECT ON %%I.%%I TO %%I;', fn.nspname, f.relname, current_user)
                END
       ], NULL) AS missing_grants
FROM pg_constraint AS co
JOIN pg_class AS t ON t.oid = co.conrelid
JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
JOIN pg_class AS f ON f.oid = co.confrelid
JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
WHERE co.oid = %(oid)s::oid AND co.contype = 'f'
