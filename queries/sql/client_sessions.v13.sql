-- Who is connected now, from where, and whether the connection is encrypted; one row a kind.
-- Privileges: pg_read_all_stats for other roles' sessions. PostgreSQL 13 and later.
-- Source: pg_stat_activity, pg_stat_ssl.
SELECT r.rolname::text AS role,
       r.rolsuper AS is_superuser,
       COALESCE(a.application_name, '') AS application,
       a.client_addr IS NULL AS is_socket,
       COALESCE(host(a.client_addr), '') AS address,
       COALESCE(s.ssl, false) AS is_encrypted,
       COALESCE(s.version, '') AS protocol,
       bool_or(a.pid = pg_backend_pid()) AS is_own,
       count(*) AS sessions
FROM pg_stat_activity AS a
JOIN pg_roles AS r ON r.oid = a.usesysid
LEFT JOIN pg_stat_ssl AS s ON s.pid = a.pid
WHERE a.backend_type = 'client backend'
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1, 3, 5
