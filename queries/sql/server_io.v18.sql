-- What the server read and wrote, by who did it and how, since statistics were reset.
-- Times are 0 unless track_io_timing (for WAL, track_wal_io_timing) is on.
-- Privileges: none. PostgreSQL 18 and later. Source: pg_stat_io.
SELECT i.backend_type AS backend,
       i.object AS object,
       i.context AS context,
       COALESCE(i.reads, 0) AS reads,
       COALESCE(i.read_bytes, 0)::bigint AS read_bytes,
       COALESCE(i.read_time, 0)::float8 AS read_ms,
       COALESCE(i.writes, 0) AS writes,
       COALESCE(i.write_bytes, 0)::bigint AS write_bytes,
       COALESCE(i.write_time, 0)::float8 AS write_ms,
       COALESCE(i.extend_bytes, 0)::bigint AS extend_bytes,
       COALESCE(i.hits, 0) AS hits,
       COALESCE(i.evictions, 0) AS evictions,
       COALESCE(i.fsyncs, 0) AS fsyncs,
       i.stats_reset AS reset_at
FROM pg_stat_io AS i
WHERE COALESCE(i.reads, 0) + COALESCE(i.writes, 0) + COALESCE(i.extends, 0)
      + COALESCE(i.hits, 0) + COALESCE(i.fsyncs, 0) > 0
ORDER BY i.backend_type, i.object, i.context
