-- Subscriptions of this database whose connection text holds a password; never which.
-- Privileges: superuser (column subconninfo). PostgreSQL 13 and later. Source: pg_subscription.
SELECT quote_ident(s.subname) AS name,
       s.subconninfo ~* 'password\s*=|://[^/@]*:[^/@]*@' AS keeps_password
FROM pg_subscription AS s
JOIN pg_database AS d ON d.oid = s.subdbid AND d.datname = current_database()
ORDER BY 1
