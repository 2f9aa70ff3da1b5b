-- In which form MediaNest keeps its secrets: counts and shapes, never a value.
-- Encrypted is what has three parts or more between colons or dots, or says so in its beginning.
-- Privileges: SELECT on the three tables. PostgreSQL 13 and later.
SELECT (SELECT count(*) FROM {users} AS u WHERE u.password_hash IS NOT NULL) AS passwords,
       (SELECT count(*) FROM {users} AS u
        WHERE u.password_hash ~ '^\$2[aby]\$\d\d\$[./A-Za-z0-9]{{53}}$') AS bcrypt,
       (SELECT count(*) FROM {users} AS u
        WHERE u.password_hash ~ '^\$2[aby]\$(0\d)\$[./A-Za-z0-9]{{53}}$') AS cheap,
       (SELECT count(*) FROM {session_tokens} AS t) AS tokens,
       (SELECT count(*) FROM {session_tokens} AS t
        WHERE t.token_hash ~ '^[0-9a-fA-F]{{64}}$|^[0-9a-fA-F]{{96}}$|^[0-9a-fA-F]{{128}}$'
            OR t.token_hash ~ '^[A-Za-z0-9+/_-]{{43}}=?$|^\$2[aby]\$\d\d\$|^\$argon2') AS hashed,
       (SELECT count(*) FROM {users} AS u WHERE u.plex_token <> '') AS plex_tokens,
       (SELECT count(*) FROM {users} AS u
        WHERE u.plex_token <> ''
            AND u.plex_token !~ '^(enc|v\d+|aes)[^:]*:|^[^:]+:[^:]+:[^:]+') AS plain_plex_tokens,
       (SELECT count(*) FROM {service_config} AS c WHERE c.api_key <> '') AS api_keys,
       (SELECT count(*) FROM {service_config} AS c
        WHERE c.api_key <> ''
            AND c.api_key !~ '^(enc|v\d+|aes)[^:]*:|^[^:]+:[^:]+:[^:]+') AS plain_api_keys
