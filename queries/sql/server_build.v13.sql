-- What the server was built as: release, packager, platform and compiler.
-- Privileges: none. PostgreSQL 13 and later.
SELECT version() AS version
