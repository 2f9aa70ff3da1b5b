-- Sessions and tokens that have expired and are kept all the same. Prisma writes times in UTC.
-- Privileges: SELECT on the three tables. PostgreSQL 13 and later.
SELECT (SELECT count(*) FROM {sessions} AS s
        WHERE s.expires < (now() AT TIME ZONE 'UTC')) AS sessions,
       (SELECT count(*) FROM {sessions} AS s
        WHERE s.expires < (now() AT TIME ZONE 'UTC') - interval '30 days') AS old_sessions,
       (SELECT count(*) FROM {session_tokens} AS t
        WHERE t.expires_at < (now() AT TIME ZONE 'UTC')) AS tokens,
       (SELECT count(*) FROM {session_tokens} AS t
        WHERE t.expires_at < (now() AT TIME ZONE 'UTC') - interval '30 days') AS old_tokens,
       (SELECT count(*) FROM {verification_tokens} AS v
        WHERE v.expires < (now() AT TIME ZONE 'UTC')) AS verifications,
       (SELECT count(*) FROM {verification_tokens} AS v
        WHERE v.expires < (now() AT TIME ZONE 'UTC') - interval '30 days') AS old_verifications
