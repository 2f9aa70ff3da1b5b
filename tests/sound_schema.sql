-- What looks like trouble and is none: no check of indexes, keys, tables and columns may object.
CREATE TABLE parents (tenant bigint, id bigint, PRIMARY KEY (tenant, id));
CREATE TABLE children (
    tenant bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    parent_id bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    body jsonb,
    PRIMARY KEY (tenant, parent_id, id),
    -- The primary key begins with its columns, in this order or the other.
    FOREIGN KEY (tenant, parent_id) REFERENCES parents DEFERRABLE
);
-- Partitions have their parent's key and indexes; the parent has no rows of its own.
CREATE TABLE events (id bigint, at timestamptz, kind text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
CREATE INDEX events_kind ON events (kind);
INSERT INTO events SELECT n, '2026-02-01', 'kind ' || n % 900 FROM generate_series(1, 2000) AS n;
ANALYZE events;
-- Alike, but not the same: another direction, class, predicate, or what they guard.
CREATE TABLE alike (id bigint PRIMARY KEY, a text, b text, c int);
CREATE UNIQUE INDEX alike_guard ON alike (a);
CREATE INDEX alike_pattern ON alike (a text_pattern_ops, c);
CREATE INDEX alike_partial ON alike (b) WHERE c IS NOT NULL;
CREATE INDEX alike_whole ON alike (b DESC NULLS LAST, a);
-- Nobody counts what a cycle gives out.
CREATE SEQUENCE round_and_round AS smallint MAXVALUE 10 CYCLE;
SELECT setval('round_and_round', 10);
CREATE MATERIALIZED VIEW seen AS SELECT 1 AS n;
CREATE TEMPORARY TABLE mine (note json);
