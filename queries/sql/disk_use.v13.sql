-- What takes the room: this database, its largest table, its temporary files.
-- Tables are measured by the catalog's pages, so that a locked one holds nothing up.
-- Privileges: CONNECT; pg_read_all_settings for the directory. PostgreSQL 13 and later.
-- Source: pg_class.relpages, pg_stat_database, pg_settings.
WITH parts AS (
    SELECT COALESCE(i.indrelid, c.oid) AS oid, c.relpages, c.reltoastrelid
    FROM pg_class AS c
    LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE c.relkind IN ('r', 'm', 'i')
),
tables AS (
    SELECT p.oid, sum(p.relpages + COALESCE(t.relpages, 0)) AS pages
    FROM parts AS p
    LEFT JOIN pg_class AS t ON t.oid = p.reltoastrelid
    GROUP BY p.oid
),
largest AS (
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, b.pages
    FROM tables AS b
    JOIN pg_class AS c ON c.oid = b.oid AND c.relkind IN ('r', 'm')
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    ORDER BY b.pages DESC
    LIMIT 1
)
SELECT pg_database_size(current_database()) AS database_bytes,
       (SELECT l.name FROM largest AS l) AS largest_relation,
       (COALESCE((SELECT l.pages FROM largest AS l), 0)
        * current_setting('block_size')::bigint)::bigint AS largest_bytes,
       d.temp_bytes AS temp_bytes,
       (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'data_directory') AS data_directory
FROM pg_stat_database AS d
WHERE d.datname = current_database()
