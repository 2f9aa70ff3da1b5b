-- How many subscriptions this database has.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_subscription.
SELECT count(*) AS number
FROM (SELECT s.subdbid FROM pg_subscription AS s) AS s
JOIN pg_database AS d ON d.oid = s.subdbid AND d.datname = current_database()
