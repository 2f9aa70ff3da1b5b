-- Which server and database a session is in, and whether the session can write.
-- Privileges: none. PostgreSQL 13 and later.
SELECT current_setting('server_version_num')::int AS version_number,
       current_setting('server_version') AS version,
       current_database()::text AS database,
       current_user::text AS role,
       current_setting('is_superuser') = 'on' AS is_superuser,
       pg_is_in_recovery() AS in_recovery,
       current_setting('transaction_read_only') = 'on'
           AND current_setting('default_transaction_read_only') = 'on' AS read_only,
       pg_postmaster_start_time() AS started_at,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS reads_all_stats
