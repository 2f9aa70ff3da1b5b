-- The nodes of a Citus cluster as this one's metadata has them, and how many shards each holds.
-- Group 0 is the coordinator. Only placements in use count (shardstate 1).
-- Privileges: none. PostgreSQL 13 and later with Citus 10 or later.
-- Source: pg_dist_node, pg_dist_placement.
SELECT n.nodename AS name,
       n.nodeport AS port,
       n.groupid = 0 AS is_coordinator,
       n.noderole::text AS role,
       n.isactive AS is_active,
       n.shouldhaveshards AS takes_shards,
       (SELECT count(*) FROM {placements} AS p
         WHERE p.groupid = n.groupid AND p.shardstate = 1)::int AS shards
FROM {nodes} AS n
ORDER BY n.groupid, n.noderole::text, n.nodename, n.nodeport
