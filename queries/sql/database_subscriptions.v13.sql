-- Subscriptions of one database: they stay with it, whatever it is called.
-- Privileges: none for these columns. PostgreSQL 13 and later. Source: pg_subscription.
SELECT s.subname::text AS name,
       s.subenabled AS is_enabled
FROM pg_subscription AS s
JOIN pg_database AS d ON d.oid = s.subdbid
WHERE d.datname = %(name)s
ORDER BY s.subname
