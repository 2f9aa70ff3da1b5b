-- One sequence, or the sequences that belong to a table's columns (serial and identity).
-- last_value is null when it was never used, may not be read, or a lock would make us wait.
-- Privileges: SELECT or USAGE on the sequence for last_value. PostgreSQL 13 and later.
-- Source: pg_sequence, pg_depend.
WITH locked AS MATERIALIZED (
    -- Reading a sequence takes ROW EXCLUSIVE, which these conflict with.
    SELECT l.relation
    FROM pg_locks AS l
    WHERE l.locktype = 'relation'
      AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
)
SELECT s.seqrelid::bigint AS oid,
       n.nspname::text AS schema,
       c.relname::text AS name,
       format('%%I.%%I', n.nspname, c.relname) AS qualified,
       format_type(s.seqtypid, NULL) AS type,
       s.seqstart AS start_value,
       s.seqincrement AS increment,
       s.seqmin AS minimum,
       s.seqmax AS maximum,
       s.seqcache AS cache,
       s.seqcycle AS cycles,
       c.relpersistence::text AS persistence,
       d.refobjid::bigint AS table_oid,
       tn.nspname::text AS table_schema,
       t.relname::text AS table_name,
       a.attname::text AS column_name,
       d.refobjsubid::int AS column_number,
       d.deptype IS NOT DISTINCT FROM 'i' AS is_identity,
       CASE WHEN has_sequence_privilege(s.seqrelid, 'SELECT, USAGE')
                 AND s.seqrelid NOT IN (SELECT l.relation FROM locked AS l)
            THEN pg_sequence_last_value(s.seqrelid) END AS last_value
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_depend AS d
       ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid
      AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
LEFT JOIN pg_class AS t ON t.oid = d.refobjid
LEFT JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE (%(sequence)s::oid IS NULL OR s.seqrelid = %(sequence)s::oid)
  AND (%(table)s::oid IS NULL OR d.refobjid = %(table)s::oid)
ORDER BY d.refobjsubid, c.relname
