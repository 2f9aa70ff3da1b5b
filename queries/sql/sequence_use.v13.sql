-- How far each sequence of user schemas has come, and the column it feeds.
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
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
       s.seqincrement AS increment,
       s.seqstart AS start_value,
       s.seqmin AS minimum,
       s.seqmax AS maximum,
       quote_ident(tn.nspname) || '.' || quote_ident(t.relname) AS table,
       a.attname::text AS column,
       format_type(a.atttypid, NULL) AS column_type,
       has_sequence_privilege(s.seqrelid, 'SELECT, USAGE') AS is_readable,
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
WHERE NOT s.seqcycle
  AND c.relpersistence <> 't'
ORDER BY 1
