-- Lines of the configuration files that the server could not use.
-- Privileges: superuser, or SELECT on the view and EXECUTE on pg_show_all_file_settings().
-- PostgreSQL 13 and later. Source: pg_file_settings.
SELECT COALESCE(f.sourcefile, '') AS file,
       COALESCE(f.sourceline, 0) AS line,
       COALESCE(f.name, '') AS name,
       f.error
FROM pg_catalog.pg_file_settings AS f
WHERE f.error IS NOT NULL
ORDER BY f.seqno
