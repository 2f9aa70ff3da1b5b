-- Let the planner of this session believe in an index that is not there. {create} and {size} are
-- hypopg_create_index and hypopg_relation_size in the schema that hypopg is in.
-- Privileges: EXECUTE on hypopg's functions. PostgreSQL 13 and later.
SELECT h.indexrelid::bigint AS oid,
       h.indexname::text AS name,
       {size}(h.indexrelid)::bigint AS bytes
FROM {create}(%(definition)s) AS h
