-- The parameter types of the statement this session prepared as %(name)s.
-- Privileges: none. PostgreSQL 13 and later.
SELECT p.parameter_types::text[] AS parameter_types
FROM pg_catalog.pg_prepared_statements AS p
WHERE p.name = %(name)s
