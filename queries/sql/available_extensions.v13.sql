-- Which of some extensions the server could install, in which versions, and by whom.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_available_extension_versions.
SELECT e.name::text AS name,
       array_agg(e.version::text ORDER BY e.version) AS versions,
       bool_and(e.superuser AND NOT e.trusted) AS needs_superuser
FROM pg_available_extension_versions AS e
WHERE e.name = ANY(%(names)s)
GROUP BY e.name
ORDER BY e.name
