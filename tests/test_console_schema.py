"""The tree of what there is, its filter and verdict, and objects' DDL, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import psycopg
import pytest
import pytest_asyncio
from conftest import Database, run_sql
from sessions import until

from console import schema
from console.errors import QueryFailed
from console.findings import Severity
from console.local_server import LocalServer
from console.object_ddl import READS_LOCKED
from console.schema import Entry, Inventory, Kind, read_entry, read_inventory, read_sizes
from console.session import Session
from console.table_ddl import LOCKED
from console.target import Target
from queries.catalog import Relation
from queries.objects import Namespace, SchemaTotals


@pytest_asyncio.fixture
async def odd_session(odd_db: Database) -> AsyncIterator[Session]:
    session = Session(Target("odd", odd_db))
    yield session
    await session.close()


def titles(inventory: Inventory, place: str, kind: Kind) -> list[str]:
    return [entry.title for entry in inventory.objects(place, kind)]


def find(inventory: Inventory, title: str) -> Entry:
    return next(entry for entry in inventory.entries if entry.title == title)


async def test_every_kind_of_object_has_its_place(odd_session: Session) -> None:
    inventory = await read_inventory(odd_session)
    assert [n.name for n in inventory.namespaces] == ["empty", "odd", "public", 'we"ird;Sch éma']
    assert titles(inventory, 'we"ird;Sch éma', Kind.TABLES) == ['we"ird;Tab le']
    assert titles(inventory, "odd", Kind.VIEWS) == ["Guarded View"]
    assert titles(inventory, "odd", Kind.MATERIALIZED_VIEWS) == ["counted"]
    assert titles(inventory, "odd", Kind.TYPES) == ["Mood", "email", "pair", "span"]
    assert titles(inventory, "odd", Kind.ROUTINES) == [
        "add(a integer, b integer)",
        "add(a text, VARIADIC rest text[])",
        "nothing(INOUT x integer)",
        "total(integer)",
        "touch()",
    ]
    assert "tickets" in titles(inventory, "odd", Kind.SEQUENCES)
    assert titles(inventory, "", Kind.EXTENSIONS) == ["btree_gist", "plpgsql"]
    assert inventory.kinds_in("empty") == []
    assert inventory.totals.bytes > 1_000_000
    assert inventory.totals.indexes >= 25


async def test_partitions_are_under_their_table_and_nowhere_else(odd_session: Session) -> None:
    inventory = await read_inventory(odd_session)
    tables = titles(inventory, "odd", Kind.TABLES)
    assert "events" in tables
    assert not [name for name in tables if name.startswith("events_")]
    events = find(inventory, "events")
    assert [entry.title for entry in inventory.partitions(events.oid)] == [
        "events 2025",
        "events_2024",
        "events_attached",
    ]
    inner = find(inventory, "events 2025")
    assert len(inventory.partitions(inner.oid)) == 2
    details = await read_entry(odd_session, events)
    assert details.relation is not None
    bounds = {p.name: p.bound for p in details.relation.partitions}
    assert bounds["events_2024"] == "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"
    assert bounds["events_2025_rest"] == "DEFAULT"
    assert details.relation.size is not None


async def test_the_filter_finds_any_part_in_any_case_and_columns_that_are_known(
    odd_session: Session,
) -> None:
    inventory = await read_inventory(odd_session)

    def found(text: str, columns: dict[int, str] | None = None) -> list[str]:
        return [entry.title for entry in inventory.matching(text, columns)]

    assert 'we"ird;Tab le' in found("IRD;TAB")
    assert "Ünïcode" in found("ünïc")
    assert found("odd 2025 rest") == ["events_2025_rest"]
    assert found("[/foo]") == []
    oid = find(inventory, "guarded").oid
    assert found("secret note") == []
    assert found("odd secret", {oid: "id secret"}) == ["guarded"]


async def test_objects_are_made_again_by_their_ddl(odd_db: Database, odd_session: Session) -> None:
    inventory = await read_inventory(odd_session)
    names = {
        "Guarded View": 'DROP VIEW odd."Guarded View"',
        "counted": "DROP MATERIALIZED VIEW odd.counted",
        "tickets": "DROP SEQUENCE odd.tickets CASCADE",
        "Mood": 'DROP TYPE odd."Mood" CASCADE',
        "email": "DROP DOMAIN odd.email CASCADE",
        "span": "DROP TYPE odd.span CASCADE",
        "pair": "DROP TYPE odd.pair CASCADE",
        "add(a integer, b integer)": "DROP FUNCTION odd.add(integer, integer)",
        "add(a text, VARIADIC rest text[])": "DROP FUNCTION odd.add(text, text[])",
        "nothing(INOUT x integer)": "DROP PROCEDURE odd.nothing",
        "total(integer)": "DROP AGGREGATE odd.total(integer)",
    }
    before = {name: (await read_entry(odd_session, find(inventory, name))).ddl for name in names}
    with psycopg.connect(**odd_db, autocommit=True) as connection:
        for name, drop in names.items():
            connection.execute(drop.encode())
            connection.execute(before[name].encode())
    again = await read_inventory(odd_session)
    for name, ddl in before.items():
        assert (await read_entry(odd_session, find(again, name))).ddl == ddl, name


async def test_every_object_can_be_looked_at(odd_session: Session) -> None:
    inventory = await read_inventory(odd_session)
    for entry in inventory.entries:
        details = await read_entry(odd_session, entry)
        assert "CREATE" in details.ddl, entry.title
    assert len(inventory.entries) > 40


async def test_the_limited_role_reads_the_same_tree(
    odd_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    session = Session(Target("limited", limited_role(odd_db)))
    try:
        inventory = await read_inventory(session)
        for entry in inventory.entries:
            assert "CREATE" in (await read_entry(session, entry)).ddl, entry.title
    finally:
        await session.close()
    assert titles(inventory, "odd", Kind.TYPES) == ["Mood", "email", "pair", "span"]


async def test_locked_tables_hold_up_nothing(odd_db: Database, odd_session: Session) -> None:
    inventory = await read_inventory(odd_session)
    with psycopg.connect(**odd_db) as locker:
        for name in ("guarded", "events", "events_2024", "nodes"):
            locker.execute(f"LOCK TABLE ONLY odd.{name} IN ACCESS EXCLUSIVE MODE".encode())
        locker.execute("ALTER SEQUENCE odd.tickets CACHE 4")
        # Nothing waits for a lock: the session would give up after 300 ms and say so.
        again = await read_inventory(odd_session)
        looked = [await read_entry(odd_session, entry) for entry in again.entries]
        sizes = await read_sizes(odd_session, [entry.oid for entry in again.entries[:20]])
        locker.rollback()
    ddl = {details.entry.title: details.ddl for details in looked}
    assert ddl["guarded"] == ddl["events"] == LOCKED
    assert ddl["Guarded View"] == ddl["counted"] == READS_LOCKED
    assert ddl["leaves"].startswith("-- Owner")
    assert len(again.entries) == len(inventory.entries)
    assert find(again, "guarded").oid not in sizes


async def test_what_is_gone_is_said_to_be_gone(odd_db: Database, odd_session: Session) -> None:
    inventory = await read_inventory(odd_session)
    run_sql(odd_db, "DROP TABLE odd.bookings", "DROP PROCEDURE odd.nothing")
    for title in ("bookings", "nothing(INOUT x integer)"):
        with pytest.raises(QueryFailed, match="no longer exists"):
            await read_entry(odd_session, find(inventory, title))


async def test_tables_never_analyzed_and_dead_rows_are_found(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE SCHEMA s",
        "CREATE TABLE s.fresh AS SELECT generate_series(1, 500) AS id",
        "CREATE TABLE s.dead AS SELECT generate_series(1, 500) AS id",
        "CREATE TABLE s.patient (id int) WITH (autovacuum_vacuum_threshold = 5000)",
        "INSERT INTO s.patient SELECT generate_series(1, 500)",
        "CREATE TABLE s.empty (id int)",
        "ANALYZE s.dead, s.patient",
        "DELETE FROM s.dead WHERE id > 100",
        "DELETE FROM s.patient WHERE id > 100",
    )
    session = Session(Target("test", empty_db))
    try:
        # Up to 14 the counts arrive with the next message of the statistics collector.
        inventory = await until(
            lambda: read_inventory(session), lambda answer: len(answer.findings) == 2, seconds=30
        )
    finally:
        await session.close()
    analyzed, due = inventory.findings
    assert (analyzed.severity, analyzed.subject) == (Severity.WARNING, "s.fresh")
    assert analyzed.message == "Never analyzed, the planner guesses: s.fresh."
    assert due.subject == "s.dead"
    assert "400 dead rows" in due.message
    rows = {relation.name: inventory.rows(relation) for relation in inventory.relations}
    assert rows["dead"] == 500
    assert rows["fresh"] == 500


def many(amount: int) -> Inventory:
    relations = [
        Relation(
            oid=number,
            schema=f"Schema_{number % 20}",
            name=f"Table_{number:05}_of_many",
            kind="r",
            owner="somebody",
            persistence="p",
            estimated_rows=1,
            estimated_bytes=8192,
            is_partition=False,
            parent_oid=None,
            row_security=False,
            comment=None,
        )
        for number in range(amount)
    ]
    namespaces = [Namespace(n, f"Schema_{n}", "somebody", None) for n in range(20)]
    totals = SchemaTotals("many", 0, 0, datetime.now(UTC))
    return Inventory(namespaces, relations, (), (), (), {}, {}, totals)


def test_a_filter_narrows_ten_thousand_tables_by_every_word() -> None:
    inventory = many(10_000)
    columns = {number: "id name created_at" for number in range(0, 10_000, 2)}
    assert len(inventory.matching("table_")) == 10_000
    found = inventory.matching("schema_7 TABLE created", columns)
    again = inventory.matching("00017")
    assert found == []
    assert [entry.title for entry in again] == ["Table_00017_of_many"]
    assert len(inventory.matching("schema_8. created", columns)) == 500


@pytest.mark.slow
async def test_among_ten_thousand_tables_one_is_opened_alone(
    server: LocalServer, empty_db: Database
) -> None:
    make_many_tables(empty_db, 10_000)
    session = Session(Target("many", empty_db))
    try:
        inventory = await read_inventory(session)
        tables = inventory.objects("many", Kind.TABLES)
        details = await schema.read_entry(session, tables[5000])
        sizes = await read_sizes(session, [entry.oid for entry in tables[:200]])
    finally:
        await session.close()
    assert inventory.count(Kind.TABLES) == 10_000
    assert len(sizes) == 200
    assert "PRIMARY KEY (id)" in details.ddl


def make_many_tables(database: Database, amount: int) -> None:
    """Tables of six columns with two indexes and a check, in steps small enough for the locks."""
    run_sql(database, "CREATE SCHEMA many")
    with psycopg.connect(**database, autocommit=True) as connection:
        for first in range(0, amount, 500):
            connection.execute(
                f"""DO $$ BEGIN FOR n IN {first} .. {first + 499} LOOP
                EXECUTE format('CREATE TABLE many.%I (id int PRIMARY KEY, name text, at timestamptz,
                    total numeric DEFAULT 0, kind text, note text, CHECK (total >= 0))', 't' || n);
                EXECUTE format('CREATE INDEX ON many.%I (name)', 't' || n);
                END LOOP; END $$""".encode()
            )
