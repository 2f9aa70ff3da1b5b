-- The collations that lookups through each foreign key use, in column order; 0 where there is none.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_constraint, pg_attribute.
SELECT co.oid::bigint AS oid,
       ARRAY(SELECT a.attcollation::bigint
             FROM unnest(co.conkey) WITH ORDINALITY AS k (attnum, position)
             JOIN pg_attribute AS a ON a.attrelid = co.conrelid AND a.attnum = k.attnum
             ORDER BY k.position) AS collations
FROM pg_constraint AS co
WHERE co.contype = 'f' AND co.conparentid = 0
