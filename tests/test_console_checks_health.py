"""Health checks: one database where each finds what it should, one where none may object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Database, run_sql
from psycopg import sql

from console.check_settings import DEFAULTS, THRESHOLDS, CheckSettings, ThresholdName
from console.checks import CHECKS, run
from console.findings import Finding, Severity
from console.local_server import LocalServer
from console.target import Target

CATEGORIES = ("index", "foreign-key", "table", "column")

EXPECTED = {
    "index.duplicate": {"public.children_b"},
    "index.redundant": {"public.children_a"},
    "index.low-cardinality": {"public.flags_done"},
    "index.nulls": {"public.flags_rare"},
    "index.boolean": {"public.flags_done"},
    "index.array": {"public.flags_tags"},
    "index.needless-predicate": {"public.flags_needless"},
    "foreign-key.types": {
        "children_parent_id_fkey on public.children",
        "children_parent_code_fkey on public.children",
    },
    "foreign-key.duplicate": {"children_twice on public.children"},
    "foreign-key.overlapping": {"pair_more_a_fkey on public.pair_more"},
    "foreign-key.nullable-member": {
        "pair_users_a_b_fkey on public.pair_users",
        "pair_more_a_b_fkey on public.pair_more",
    },
    "foreign-key.missing": {"public.pair_users.parents_id"},
    "table.keys-exhausted": {"public.children_id_seq"},
    "table.never-analyzed": {"public.never_looked_at"},
    "table.bloat": {"public.swollen"},
    "table.autovacuum-off": {"public.swollen"},
    "table.vacuum-due": {"public.swollen"},
    "table.missing-index": {"public.flags"},
    "table.unlogged": {"public.fleeting"},
    "table.not-validated": {"positive on public.checked"},
    "table.disabled-triggers": {"off on public.checked"},
    "table.inheritance": {"public.heirs"},
    "table.few-columns": {"public.one_column"},
    "column.json": {"public.keyless.note"},
    "column.char": {"public.keyless.short"},
    "column.money": {"public.keyless.price"},
    "column.timestamp": {"public.keyless.at"},
    "column.reg-types": {"public.keyless.what"},
    "column.large-objects": {"public.pair_users.blob_id"},
}


EXACT = (
    "index.duplicate",
    "index.redundant",
    "index.nulls",
    "table.bloat",
    "table.keys-exhausted",
    "table.never-analyzed",
    "foreign-key.duplicate",
)
"""Checks that must find nothing else."""


def _made(server: LocalServer, name: str, script: str) -> Database:
    admin: Database = {**server.conninfo("postgres")}
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
    run_sql(admin, create)
    database: Database = {**server.conninfo(name)}
    with psycopg.connect(**database, autocommit=True) as connection:
        connection.execute(Path(__file__).with_name(script).read_bytes())
    return database


@pytest.fixture(scope="module")
def unsound(server: LocalServer) -> Iterator[Database]:
    database = _made(server, "unsound", "unsound_schema.sql")
    _wait_for_counters(database)
    yield database
    run_sql(server.conninfo("postgres"), "DROP DATABASE unsound WITH (FORCE)")


@pytest.fixture(scope="module")
def sound(server: LocalServer) -> Iterator[Database]:
    yield _made(server, "sound", "sound_schema.sql")
    run_sql(server.conninfo("postgres"), "DROP DATABASE sound WITH (FORCE)")


def _wait_for_counters(database: Database) -> None:
    """Counters come late, more so before 15."""
    with psycopg.connect(**database, autocommit=True) as watcher:
        for _ in range(300):
            row = watcher.execute(
                "SELECT pg_stat_get_numscans('flags'::regclass) >= 100"
                " AND pg_stat_get_live_tuples('never_looked_at'::regclass) >= 3000"
            ).fetchone()
            if row == (True,):
                return
            watcher.execute("SELECT pg_sleep(0.1), pg_stat_clear_snapshot()")
    pytest.fail("the counters did not come")


async def findings(
    database: Database, *only: str, settings: CheckSettings = DEFAULTS
) -> list[Finding]:
    report = await run(Target("test", database), None, only=only, settings=settings)
    return [finding for result in report.results for finding in result.findings]


def of(found: list[Finding], check: str) -> set[str]:
    """Subjects; a group's names are in its evidence."""
    return {
        finding.subject or (finding.evidence.answer if finding.evidence else "")
        for finding in found
        if finding.check == check
    }


async def test_each_check_finds_what_it_should(unsound: Database) -> None:
    found = await findings(unsound, *CATEGORIES)
    told = {check: of(found, check) for check in EXPECTED}
    for check, expected in EXPECTED.items():
        assert expected <= told[check], (check, told[check])
    for check in EXACT:
        assert told[check] == EXPECTED[check], check
    assert {"public.keyless", "public.heirs"} <= of(found, "table.primary-key")
    assert "public.children.children_parent_id_fkey" in of(found, "foreign-key.unindexed")
    assert any("cut_it" in name for name in of(found, "column.long-names"))


async def test_nothing_is_graver_than_its_check_says_and_all_has_proof(unsound: Database) -> None:
    about = {check.id: check.about for check in CHECKS}
    for finding in await findings(unsound, *CATEGORIES, "server"):
        if finding.severity is not Severity.UNKNOWN:
            assert finding.severity.rank >= Severity(about[finding.check].severity).rank, finding
            assert finding.evidence is not None, finding


async def test_what_only_looks_like_trouble_is_left_alone(sound: Database) -> None:
    with psycopg.connect(**sound) as busy:
        busy.execute("CREATE TEMPORARY TABLE mine (note json)")
        busy.commit()
        found = await findings(sound, *CATEGORIES)
    loud = [f for f in found if f.severity is not Severity.INFO]
    assert not loud
    notes = {f.check for f in found}
    assert notes <= {"index.unused", "table.empty", "table.few-columns"}, notes


async def test_a_running_concurrent_build_is_not_called_invalid(sound: Database) -> None:
    with psycopg.connect(**sound) as holder:
        holder.execute("INSERT INTO alike VALUES (1)")
        pid = _begin_building(sound)
        try:
            found = await findings(sound, "index.invalid")
        finally:
            run_sql(sound, sql.SQL("SELECT pg_cancel_backend({})").format(sql.Literal(pid)))
    assert [f.severity for f in found] == [Severity.INFO]
    assert "is being built" in found[0].message


_BUILDERS: list[psycopg.Connection[object]] = []


def _begin_building(database: Database) -> int:
    builder = psycopg.connect(**database, autocommit=True)
    _BUILDERS.append(builder)  # closing it would wait for its answer
    builder.pgconn.send_query(b"CREATE INDEX CONCURRENTLY slowly ON alike (c)")
    builder.pgconn.flush()
    with psycopg.connect(**database, autocommit=True) as watcher:
        for _ in range(3000):
            row = watcher.execute(
                "SELECT 1 FROM pg_stat_progress_create_index AS p"
                " JOIN pg_index AS i ON i.indexrelid = p.index_relid"
            ).fetchone()
            if row:
                break
            watcher.execute("SELECT pg_sleep(0.01)")
    return builder.info.backend_pid


async def test_a_threshold_of_the_settings_counts(unsound: Database) -> None:
    strict = CheckSettings(
        thresholds={ThresholdName("table.keys-exhausted.fail-percent"): 96,
                    ThresholdName("table.never-analyzed.rows"): 5000}
    )  # fmt: skip
    found = await findings(unsound, "table.keys-exhausted", "table.never-analyzed", settings=strict)
    assert [(f.check, f.severity) for f in found] == [("table.keys-exhausted", Severity.WARNING)]


async def test_what_a_role_may_not_read_is_unknown_and_never_well(
    unsound: Database, limited_role: object
) -> None:
    limited: Database = limited_role(unsound)  # type: ignore[operator]
    found = await findings(limited, "table.keys-exhausted", "table.bloat")
    assert {f.check for f in found if f.severity is Severity.UNKNOWN} == {
        "table.keys-exhausted",
        "table.bloat",
    }


async def test_the_server_is_looked_at(unsound: Database) -> None:
    run_sql(unsound, "SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        with psycopg.connect(**unsound) as open_one:
            open_one.execute("SELECT 1")
            at_once = CheckSettings(thresholds={ThresholdName("server.transactions.minutes"): 0})
            found = await findings(unsound, "server", settings=at_once)
    finally:
        run_sql(unsound, "SELECT pg_drop_replication_slot('forgotten')")
    assert of(found, "server.slots") == {"forgotten"}
    assert of(found, "server.event-triggers") == {"watches"}
    assert any("is open for" in f.message for f in found if f.check == "server.transactions")
    assert not of(await findings(unsound, "server"), "server.slots")


def test_every_threshold_belongs_to_a_check() -> None:
    assert {name for check in CHECKS for name in check.thresholds} == set(THRESHOLDS)
