-- How many bytes of shards each node of a Citus cluster holds. This one asks every node.
-- Privileges: none. PostgreSQL 13 and later with Citus 10 or later. Source: citus_shards.
SELECT s.nodename AS name,
       s.nodeport AS port,
       sum(s.shard_size)::bigint AS bytes
FROM {shards} AS s
GROUP BY s.nodename, s.nodeport
