-- Whether the server's library knows a locale for both LC_COLLATE and LC_CTYPE in an encoding.
-- Names are compared as libc spells them (en_US.utf8 is en_US.UTF-8); C and POSIX always exist.
-- Privileges: none. PostgreSQL 13 and later. Source: pg_collation, filled by initdb from the system.
SELECT c.collname::text AS name
FROM pg_collation AS c
WHERE c.collprovider = 'c'
  AND lower(replace(c.collcollate, '-', '')) = lower(replace(%(locale)s, '-', ''))
LIMIT 1
