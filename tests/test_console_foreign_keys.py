"""Foreign keys on real servers: their words, state, index, and what lies around them."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from conftest import Database, run_sql, server_major

from console.errors import PrivilegeMissing, TimedOut
from console.findings import Severity
from console.foreign_keys import ForeignKey, ForeignKeyOverview, orphans_of, read_foreign_keys
from console.relation_graph import draw, relation_graph
from console.session import Session
from console.target import Target


async def overview(database: Database) -> ForeignKeyOverview:
    session = Session(Target("test", database))
    try:
        return await read_foreign_keys(session)
    finally:
        await session.close()


def key(result: ForeignKeyOverview, name: str) -> ForeignKey:
    return next(k for k in result.keys if k.constraint.name == name)


def checks(found: ForeignKey) -> set[str]:
    return {finding.check for finding in found.findings}


async def test_medianest_keys_with_their_rules(medianest_db: Database) -> None:
    result = await overview(medianest_db)
    assert len(result.keys) == 8
    rules = {k.constraint.name: k.on_delete for k in result.keys}
    assert rules["sessions_user_id_fkey"] == "cascade"
    assert rules["accounts_user_id_fkey"] == "cascade"
    assert rules["service_config_updated_by_fkey"] == "set null"
    assert sorted(rules.values()).count("restrict") == 5
    assert {k.on_update for k in result.keys} == {"cascade"}
    assert {k.state for k in result.keys} == {"valid"}
    assert {k.target for k in result.keys} == {"users"}
    sessions = key(result, "sessions_user_id_fkey")
    assert sessions.supporting_index is not None
    assert sessions.supporting_index.name == "sessions_user_id_idx"
    assert {f.severity for f in result.findings} == {Severity.INFO}, "the sample tables are small"
    assert "schema.prisma" in result.findings[0].fix


async def test_odd_keys_in_words(empty_db: Database) -> None:
    run_sql(
        empty_db,
        'CREATE SCHEMA "Ünïcode"',
        'CREATE TABLE "Ünïcode"."we""ird;Tab le" (a int, "b[/b]" int, PRIMARY KEY (a, "b[/b]"))',
        "CREATE TABLE child (id int PRIMARY KEY, x int, y int, up int REFERENCES child,"
        ' CONSTRAINT "odd %" FOREIGN KEY (x, y) REFERENCES "Ünïcode"."we""ird;Tab le"'
        " MATCH FULL ON UPDATE SET NULL ON DELETE SET DEFAULT DEFERRABLE INITIALLY DEFERRED)",
    )
    result = await overview(empty_db)
    odd = key(result, "odd %")
    assert odd.table == "child"
    assert odd.target == '"Ünïcode"."we""ird;Tab le"'
    assert (odd.columns, odd.target_columns) == ("x, y", 'a, "b[/b]"')
    assert (odd.on_delete, odd.on_update, odd.match) == ("set default", "set null", "full")
    assert odd.deferrable == "initially deferred"
    assert key(result, "child_up_fkey").target == "child"


async def test_keys_that_do_not_hold_say_so_and_how_to_mend_it(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (id int PRIMARY KEY, pid int)",
        "INSERT INTO child VALUES (1, 5)",
        "ALTER TABLE child ADD CONSTRAINT k FOREIGN KEY (pid) REFERENCES parent NOT VALID",
    )
    found = key(await overview(empty_db), "k")
    assert found.state == "not validated"
    assert "foreign-key.not-validated" in checks(found)
    run_sql(empty_db, "DELETE FROM child", found.findings[0].fix)
    assert key(await overview(empty_db), "k").state == "valid"
    run_sql(empty_db, "ALTER TABLE child DISABLE TRIGGER ALL")
    off = key(await overview(empty_db), "k")
    assert off.state == "trigger off"
    assert off.verdict is Severity.FAILURE
    finding = next(f for f in off.findings if f.check == "foreign-key.trigger-off")
    run_sql(empty_db, finding.fix)
    assert key(await overview(empty_db), "k").state == "valid"


async def test_a_trigger_off_on_the_target_counts_too(medianest_db: Database) -> None:
    run_sql(medianest_db, "ALTER TABLE users DISABLE TRIGGER ALL")
    result = await overview(medianest_db)
    assert {k.state for k in result.keys} == {"trigger off"}


@pytest.mark.parametrize("server", ["pg18"], indirect=True)
async def test_not_enforced_keys_of_18(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (pid int)",
        "INSERT INTO child VALUES (5)",
        "ALTER TABLE child ADD CONSTRAINT k FOREIGN KEY (pid) REFERENCES parent NOT ENFORCED",
    )
    found = key(await overview(empty_db), "k")
    assert found.state == "not enforced"
    assert checks(found) == {"foreign-key.not-enforced"}
    run_sql(empty_db, "DELETE FROM child", found.findings[0].fix)
    assert key(await overview(empty_db), "k").state == "valid"


SUPPORTED = [
    "CREATE INDEX ON child (a, b)",
    "CREATE INDEX ON child (b, a)",
    "CREATE INDEX ON child (b, a, c)",
    "CREATE INDEX ON child (a, b) INCLUDE (c)",
    "CREATE UNIQUE INDEX ON child (a, b)",
    "ALTER TABLE child ADD PRIMARY KEY (b, a, c)",
    "CREATE INDEX ON child (a, b) WHERE a IS NOT NULL",
    "CREATE INDEX ON child (a, b) WHERE a IS NOT NULL AND b IS NOT NULL",
]
UNSUPPORTED = [
    "CREATE INDEX ON child (a)",
    "CREATE INDEX ON child (c, a, b)",
    "CREATE INDEX ON child (a) INCLUDE (b)",
    "CREATE INDEX ON child (a, c, b)",
    "CREATE INDEX ON child (a, b) WHERE c IS NOT NULL",
    "CREATE INDEX ON child (a, b) WHERE a > 0",
    "CREATE INDEX ON child ((a + 0), b)",
    "CREATE INDEX ON child USING brin (a, b)",
]


@pytest.mark.parametrize("how", SUPPORTED)
async def test_an_index_that_begins_with_the_keys_columns_supports_it(
    empty_db: Database, how: str
) -> None:
    run_sql(empty_db, *COMPOSITE, how)
    assert key(await overview(empty_db), "k").supporting_index is not None


async def test_other_indexes_do_not(empty_db: Database) -> None:
    run_sql(empty_db, *COMPOSITE, *UNSUPPORTED)
    found = key(await overview(empty_db), "k")
    assert found.supporting_index is None
    assert checks(found) == {"foreign-key.unindexed"}
    if server_major(empty_db) >= 14:  # 13 cannot tell a table never analyzed from an empty one.
        assert found.verdict is Severity.WARNING, "a table that was never analyzed may be large"
    run_sql(empty_db, found.findings[0].fix)
    assert key(await overview(empty_db), "k").supporting_index is not None


COMPOSITE = (
    "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b))",
    "CREATE TABLE child (a int, b int, c int, CONSTRAINT k FOREIGN KEY (a, b) REFERENCES parent)",
)


async def test_an_index_of_another_collation_does_not_support(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE parent (id text PRIMARY KEY)",
        "CREATE TABLE child (pid text CONSTRAINT k REFERENCES parent)",
        'CREATE INDEX ON child (pid COLLATE "POSIX")',
        "INSERT INTO child SELECT NULL FROM generate_series(1, 100)",
        "ANALYZE child",
    )
    assert key(await overview(empty_db), "k").supporting_index is None
    run_sql(empty_db, "CREATE INDEX ON child USING hash (pid)")
    assert key(await overview(empty_db), "k").supporting_index is not None


async def test_partitioned_keys_are_counted_once(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE parent (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE parent_1 PARTITION OF parent FOR VALUES FROM (0) TO (9)",
        "CREATE TABLE child (pid int CONSTRAINT k REFERENCES parent) PARTITION BY RANGE (pid)",
        "CREATE TABLE child_1 PARTITION OF child FOR VALUES FROM (0) TO (9)",
        "CREATE TABLE child_2 PARTITION OF child DEFAULT",
    )
    result = await overview(empty_db)
    assert [k.constraint.name for k in result.keys] == ["k"]
    assert len(result.findings) == 1
    run_sql(empty_db, result.findings[0].fix)
    assert not (await overview(empty_db)).findings


@pytest.fixture
def family(empty_db: Database) -> Database:
    """Five tables: some two keys away, one in another schema, two that point to themselves."""
    run_sql(
        empty_db,
        "CREATE SCHEMA other",
        "CREATE TABLE root (id int PRIMARY KEY, parent int REFERENCES root)",
        "CREATE TABLE other.middle"
        " (id int PRIMARY KEY, root int REFERENCES root ON DELETE CASCADE)",
        "CREATE TABLE leaf (middle int REFERENCES other.middle, root int REFERENCES root)",
        "CREATE TABLE far (leaf int REFERENCES other.middle)",
        "CREATE TABLE apart (id int PRIMARY KEY, of int REFERENCES apart)",
    )
    return empty_db


async def test_the_graph_shows_both_directions_and_selves(family: Database) -> None:
    keys = (await overview(family)).keys
    root = next(k for k in keys if k.table == "root").constraint.table_oid
    graph = relation_graph(keys, root)
    lines = draw(graph).splitlines()
    assert lines[0] == "root"
    assert (
        set(lines[1:])
        == {
            "├─ ↺ parent → id of itself  on delete no action",
            "├─ ← other.middle (root)  on delete cascade",
            "└─ ← leaf (root)  on delete no action",
        }
        or len(lines) == 4
    )
    assert not any("far" in line or "apart" in line for line in lines)
    assert draw(graph, ascii_only=True).isascii()


async def test_two_hops_reach_further_without_repeating(family: Database) -> None:
    keys = (await overview(family)).keys
    leaf = next(k for k in keys if k.table == "leaf").constraint.table_oid
    text = draw(relation_graph(keys, leaf, hops=2))
    assert "far (leaf)" in text
    assert "apart" not in text
    assert text.count("far (leaf)") == 1
    one = draw(relation_graph(keys, leaf, hops=1))
    assert "far" not in one


async def test_orphans_on_demand_are_counted_or_explained(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    run_sql(
        medianest_db,
        "SET session_replication_role = replica;"
        " DELETE FROM users WHERE id = (SELECT user_id FROM sessions LIMIT 1)",
    )
    found = key(await overview(medianest_db), "sessions_user_id_fkey")
    target = Target("test", medianest_db)
    whole = await orphans_of(target, found)
    assert whole.rows > 0
    assert whole.is_complete
    first = await orphans_of(target, found, limit=1)
    assert (first.rows, first.is_complete) == (1, False)
    with pytest.raises(PrivilegeMissing, match="needs to read"):
        await orphans_of(Target("test", limited_role(medianest_db)), found)


async def test_a_count_that_cannot_get_at_the_table_ends_with_words(
    medianest_db: Database,
) -> None:
    found = key(await overview(medianest_db), "sessions_user_id_fkey")
    with psycopg.connect(**medianest_db) as holder:
        holder.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimedOut):
            await orphans_of(Target("test", medianest_db), found)
