"""Statement timings: every column set, changes, resets, evictions, hidden ones, and our own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from conftest import run_sql
from psycopg import sql
from test_queries import HANDLES

import queries
from console.errors import ActionRefused, QueryFailed
from console.local_server import LocalServer
from console.monitor.intervene import carry_out, enable_counting
from console.monitor.own import is_own
from console.monitor.statement_text import laid_out, one_line, safe
from console.monitor.timings import (
    Snapshot,
    TimingsHistory,
    changes,
    key_of,
    leading,
    timings,
    was_reset,
)
from console.monitor.timings_reader import TimingsReader
from console.session import Session
from console.statements import State
from console.target import Target
from queries.timings import Counters, Ledger, major_of_extension, read_counters

Database = dict[str, Any]
NOW = datetime(2026, 1, 15, 3, 0, tzinfo=UTC)
COUNTERS = Counters(
    id=1,
    user_id=10,
    is_toplevel=True,
    calls=100,
    rows=100,
    total_ms=1000.0,
    plan_ms=0.0,
    max_ms=20.0,
    stddev_ms=1.0,
    hit_bytes=0,
    read_bytes=0,
    dirtied_bytes=0,
    written_bytes=0,
    temp_read_bytes=0,
    temp_written_bytes=0,
    read_ms=0.0,
    write_ms=0.0,
    wal_records=0,
    wal_bytes=0,
    jit_ms=None,
    since=None,
)


def counters(**changed: Any) -> Counters:
    return dataclasses.replace(COUNTERS, **changed)


def snapshot(seconds: float, *found: Counters, ledger: Ledger | None = None) -> Snapshot:
    return Snapshot(NOW + timedelta(seconds=seconds), found, ledger)


@pytest.fixture
async def session(empty_db: Database) -> AsyncIterator[Session]:
    session = Session(Target("test", empty_db))
    yield session
    await session.close()


NEWEST = {13: "1.8", 14: "1.9", 15: "1.10", 16: "1.10", 17: "1.11", 18: "1.12"}
VERSIONS = ("1.8", "1.9", "1.10", "1.11", "1.12")


async def test_every_version_of_the_extension_is_read_also_on_a_newer_server(
    server: LocalServer, empty_db: Database, session: Session
) -> None:
    connection = await session.connection()
    major = connection.info.server_version // 10000
    for version in VERSIONS[: VERSIONS.index(NEWEST[major]) + 1]:
        run_sql(
            empty_db,
            "DROP EXTENSION IF EXISTS pg_stat_statements",
            sql.SQL("CREATE EXTENSION pg_stat_statements VERSION {}").format(sql.Literal(version)),
            "SELECT count(*) FROM generate_series(1, 1000)",
        )
        found = await read_counters(connection, "public", version)
        counted = max(found, key=lambda c: c.rows if c.id else 0)
        assert counted.calls >= 1, version
        assert (counted.jit_ms is None) == (major_of_extension(version) < 15), version
        assert (counted.since is None) == (major_of_extension(version) < 17), version
        names = [field.name for field in dataclasses.fields(Counters)]
        text = queries.text("statement_counters", major_of_extension(version) * 10000)
        assert re.findall(r"AS (\w+),?$", text.partition("FROM {")[0], re.MULTILINE) == names


def test_the_release_that_brought_a_version_is_known_also_for_those_to_come() -> None:
    versions = ("1.7", "1.8", "1.10", "1.11", "1.12", "1.13", "2.0")
    assert [major_of_extension(v) for v in versions] == [13, 13, 15, 17, 18, 18, 18]


async def test_the_extension_may_be_in_a_schema_of_any_name(
    empty_db: Database, session: Session
) -> None:
    run_sql(
        empty_db,
        'CREATE SCHEMA "odd schema"',
        'CREATE EXTENSION pg_stat_statements SCHEMA "odd schema"',
        "CREATE TABLE marked (id int)",
        "SELECT * FROM marked WHERE id = 4711",
    )
    reader = TimingsReader(session)
    reading = await reader.read(1.0)
    assert not reading.is_sampled
    text = next(t.text for t in reading.timings if t.text and "FROM marked" in t.text)
    assert text == "SELECT * FROM marked WHERE id = $1"


async def test_the_change_of_an_interval_is_that_of_the_calls_made_in_it(
    empty_db: Database, session: Session
) -> None:
    run_sql(empty_db, "CREATE EXTENSION pg_stat_statements", "CREATE TABLE marked (id int)")
    reader = TimingsReader(session)
    run_sql(empty_db, "SELECT count(*) FROM marked")
    await reader.read(1.0)
    run_sql(empty_db, *["SELECT count(*) FROM marked"] * 7)
    reading = await reader.read(1.0)
    found = next(t for t in reading.timings if t.text == "SELECT count(*) FROM marked")
    assert found.counters.calls == 8
    assert found.change is not None
    assert found.change.calls == 7
    assert found.change.rows == 7
    assert found.change.calls_per_second == pytest.approx(7 / found.change.seconds)


async def test_none_of_the_consoles_own_questions_is_shown_unless_asked_for(
    medianest_db: Database,
) -> None:
    run_sql(medianest_db, "SELECT pg_stat_statements_reset()")
    asked = 0
    with psycopg.connect(**medianest_db, autocommit=True) as connection:
        for name in HANDLES:
            try:
                statement = queries.text(name, connection.info.server_version)
            except LookupError:
                continue
            if "{" not in statement:
                names = re.findall(r"%\((\w+)\)s", statement)
                connection.execute(statement, dict.fromkeys(names))
                asked += 1
    session = Session(Target("test", medianest_db))
    reader = TimingsReader(session)
    await reader.read(1.0)
    shown = [t.text or "" for t in (await reader.read(1.0)).timings]
    # Drops and resets of the fixtures are somebody else's.
    assert [
        one_line(text)[:80] for text in shown if re.match(r"\s*(--|WITH|SELECT [^p])", text)
    ] == []
    reader.shows_own = True
    assert len((await reader.read(1.0)).timings) >= asked - 5
    await session.close()


def test_an_applications_statement_is_never_taken_for_our_own() -> None:
    assert not is_own("SELECT * FROM users WHERE id = $1")
    assert not is_own("")
    assert not is_own(None)
    assert is_own(queries.text("activity", 180000).replace("%%", "%"))


def test_a_change_needs_two_looks_and_time_between_them() -> None:
    first = snapshot(0, counters())
    assert changes(first, snapshot(0, counters(calls=101))) == {}
    history = TimingsHistory()
    history.add(first)
    assert [t.change for t in timings(history, {1: "x"}, {}, own=False)] == [None]


def test_a_counter_that_went_back_gives_no_change_rather_than_a_negative_one() -> None:
    others = [counters(id=n) for n in range(2, 6)]
    before = snapshot(0, counters(), *others)
    after = snapshot(2, counters(calls=3, total_ms=5.0), *others)
    found = changes(before, after)
    assert key_of(counters()) not in found
    assert all(change.calls == 0 for change in found.values())


def test_an_entry_that_was_evicted_and_came_back_counts_from_its_return() -> None:
    before = snapshot(0, counters(calls=900, since=NOW))
    after = snapshot(2, counters(calls=950, total_ms=50.0, since=NOW + timedelta(seconds=1)))
    (change,) = changes(before, after).values()
    assert change.calls == 950, "all of them were made since it came back"


def test_a_statement_seen_for_the_first_time_was_run_in_this_interval() -> None:
    before = snapshot(0, counters())
    after = snapshot(2, counters(), counters(id=2, calls=4, total_ms=8.0, rows=4))
    assert changes(before, after)[2, 10, True].calls == 4


def test_a_reset_is_noticed_by_the_book_and_without_one_by_the_counters() -> None:
    ledger, later = Ledger(0, NOW), Ledger(0, NOW + timedelta(seconds=1))
    assert was_reset(snapshot(0, ledger=ledger), snapshot(2, ledger=later))
    assert not was_reset(snapshot(0, ledger=ledger), snapshot(2, ledger=ledger))
    many = [counters(id=n) for n in range(10)]
    assert was_reset(snapshot(0, *many), snapshot(2, counters(id=1, calls=1)))
    assert not was_reset(snapshot(0, *many), snapshot(2, *many[:-1]))
    history = TimingsHistory()
    for look in (
        snapshot(0, *many, ledger=ledger),
        snapshot(2, counters(id=1, calls=2), ledger=later),
    ):
        history.add(look)
    assert history.changes == {}
    assert "reset" in history.notices[-1]


async def test_a_real_reset_and_a_real_eviction_are_noticed(
    empty_db: Database, session: Session
) -> None:
    run_sql(empty_db, "CREATE EXTENSION pg_stat_statements", "SELECT 1")
    reader = TimingsReader(session)
    await reader.read(1.0)
    run_sql(empty_db, "SELECT pg_stat_statements_reset()")
    reading = await reader.read(1.0)
    assert "reset" in reading.notices[-1]
    assert all(t.change is None for t in reading.timings)
    reading = await reader.read(1.0)
    assert all(t.change is None or t.change.calls >= 0 for t in reading.timings)


def test_evictions_are_told() -> None:
    history = TimingsHistory()
    history.add(snapshot(0, counters(), ledger=Ledger(1, NOW)))
    history.add(snapshot(2, counters(), ledger=Ledger(3, NOW)))
    assert "pg_stat_statements.max" in history.notices[-1]


def test_the_history_of_a_statement_has_zeros_where_it_was_not_called() -> None:
    history = TimingsHistory()
    for n, calls in enumerate((100, 110, 110, 130)):
        history.add(snapshot(2 * n, counters(calls=calls, total_ms=calls * 10.0)))
    points = history.points((1, 10, True))
    assert [point.calls_per_second for point in points] == [5.0, 0.0, 10.0]
    assert [point.mean_ms for point in points] == [pytest.approx(10.0), None, pytest.approx(10.0)]


async def test_without_the_extension_sessions_are_sampled_until_it_is_enabled(
    empty_db: Database, session: Session
) -> None:
    from sessions import stage

    reader = TimingsReader(session)
    with stage(empty_db) as enter:
        enter("worker").starts("SELECT pg_sleep(30), 'secret', 42")
        for _ in range(3):
            reading = await reader.read(1.0)
        assert reading.is_sampled
        assert reading.ready.state is State.NOT_CREATED
        assert "CREATE EXTENSION" in reading.ready.fix
        (seen,) = [s for s in reading.sampled if "pg_sleep" in s.text]
        assert seen.text == "SELECT pg_sleep(?), '…', ?"
        assert seen.looks == 3
        assert seen.seconds > 0
    message = await carry_out(session.target, enable_counting(reading.ready))
    assert "counted" in message
    reader.look_again()
    assert not (await reader.read(1.0)).is_sampled


async def test_statements_of_other_roles_are_counted_as_hidden(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    run_sql(medianest_db, "SELECT count(*) FROM users", "REVOKE pg_read_all_stats FROM limited")
    session = Session(Target("test", limited))
    try:
        reading = await TimingsReader(session).read(1.0)
        assert reading.hidden > 0
        assert all(t.counters.id is not None for t in reading.timings)
    finally:
        await session.close()
        run_sql(medianest_db, "GRANT pg_read_all_stats TO limited")


async def test_an_extension_dropped_meanwhile_is_said_and_sampling_takes_over(
    empty_db: Database, session: Session
) -> None:
    run_sql(empty_db, "CREATE EXTENSION pg_stat_statements")
    reader = TimingsReader(session)
    await reader.read(1.0)
    run_sql(empty_db, "DROP EXTENSION pg_stat_statements")
    for _ in range(2):
        try:
            reading = await reader.read(1.0)
        except QueryFailed:
            continue
    assert reading.is_sampled or reading.remark


async def test_enabling_is_refused_where_it_would_not_help(session: Session) -> None:
    from console.statements import Readiness

    with pytest.raises(ActionRefused):
        enable_counting(Readiness(State.NOT_PRELOADED, "Not preloaded.", "-- restart"))


def test_a_statement_is_laid_out_or_left_as_it_is() -> None:
    assert "\n" in laid_out("SELECT a,b FROM t WHERE x = $1 AND y IN ($2,$3)")
    broken = "SELEC nonsense ((("
    assert laid_out(broken) == broken
    long = "SELECT " + "1," * 10_000 + "1"
    assert laid_out(long) == long


def test_a_password_in_a_utility_statement_is_masked() -> None:
    assert "hunter2" not in safe("CREATE ROLE x PASSWORD 'hunter2'")
    assert "hunter2" not in safe("-- x\nALTER ROLE x PASSWORD 'hunter2'")
    assert safe("SELECT 'kept' FROM t") == "SELECT 'kept' FROM t"


def test_of_thousands_those_are_kept_that_lead_in_some_figure() -> None:
    history = TimingsHistory()
    many = [counters(id=n, total_ms=float(n)) for n in range(2000)]
    rare = counters(id=5000, total_ms=0.0, calls=1, wal_bytes=1 << 30)
    history.add(snapshot(0, *many, rare))
    found = timings(history, {}, {}, own=False)
    kept = {t.counters.id for t in leading(found)}
    assert {5000, 1999} <= kept
    assert len(kept) < 1300
    assert leading(found[:50]) == found[:50]
