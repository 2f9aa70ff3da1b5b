"""The index lab's parts: what a statement asks, which index it would like, how sure a figure is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database, run_sql

import queries
from console.errors import ActionRefused, CommandFailed
from console.lab import words
from console.lab.building import typed_candidates
from console.lab.candidates import Spreads, derive
from console.lab.reading import How, Names, Reading, read
from console.lab.result import IndexResult, LabResult, QueryResult, TableSize, keep, kept, path_of
from console.lab.spread import Change, Timed, Verdict, change
from console.lab.statements import Skipped, Statement, slowest
from console.lab.text import FORMATS
from console.lab.values import NoValues, values_for
from console.profile import load
from console.session import Session, connect
from console.target import Target
from queries.catalog import Catalog, read_catalog
from queries.lab import COLUMN_SPREAD


def test_a_change_is_of_medians_and_its_interval_holds_what_chance_explains() -> None:
    steady = Timed((10.0, 10.2, 9.9, 10.1, 10.0), (2.0, 2.1, 1.9, 2.0, 2.05))
    found = change([steady])
    assert found.share == pytest.approx(0.8)
    assert found.low <= found.share <= found.high
    assert found.low > 0.75
    assert found.verdict is Verdict.FASTER
    assert change([Timed(steady.with_them, steady.without)]).verdict is Verdict.SLOWER
    noisy = Timed((1.0, 9.0, 2.0, 8.0, 5.0), (2.0, 8.0, 1.0, 9.0, 4.5))
    assert change([noisy]).verdict is Verdict.SAME


def test_a_small_change_is_none_however_sure() -> None:
    assert change([Timed((1.0,) * 5, (0.97,) * 5)]).verdict is Verdict.SAME
    assert change([Timed((0.0,) * 5, (0.0,) * 5)]) == Change(0.0, 0.0, 0.0)


def test_statements_count_as_often_as_they_run() -> None:
    often = Timed((1.0,) * 3, (1.0,) * 3, weight=9)
    seldom = Timed((1.0,) * 3, (0.0,) * 3, weight=1)
    assert change([often, seldom]).share == pytest.approx(0.1)


async def known(database: Database) -> tuple[Catalog, Spreads]:
    async with connect(Target("it", database)) as connection:
        return (
            await read_catalog(connection),
            Spreads(await queries.fetch(connection, COLUMN_SPREAD)),
        )


async def wished(database: Database, *statements: str) -> list[str]:
    catalog, spreads = await known(database)
    names = Names(catalog)
    found = derive([(text, read(text, names)) for text in statements], catalog, spreads)
    return [one.statement.removeprefix("CREATE INDEX ON public.") for one in found]


BARE = ("media_requests_user_id_status_idx", "media_requests_created_at_idx",
        "error_logs_user_id_idx", "error_logs_created_at_idx")  # fmt: skip


@pytest.fixture
def bare_db(medianest_db: Database) -> Database:
    """Without some of its indexes."""
    run_sql(medianest_db, f"DROP INDEX {', '.join(BARE)}")
    return medianest_db


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM media_requests WHERE user_id = $1 AND status=$2",
         ["media_requests (user_id, status)"]),
        ("SELECT * FROM media_requests r WHERE r.status = $1 AND r.user_id IN ($2,$3)"
         " ORDER BY r.created_at DESC LIMIT $4", ["media_requests (user_id, status, created_at)"]),
        ('SELECT "public"."media_requests"."id" FROM "public"."media_requests"'
         ' WHERE ("public"."media_requests"."user_id" = $1 AND 1=1) LIMIT $2 OFFSET $3',
         ["media_requests (user_id)"]),
        ("SELECT * FROM media_requests WHERE user_id = $1 AND created_at > $2",
         ["media_requests (user_id, created_at)"]),
        ("SELECT * FROM error_logs WHERE user_id = $1 AND stack_trace IS NULL",
         ["error_logs (user_id)"]),
        ("SELECT * FROM media_requests WHERE $1 < created_at", ["media_requests (created_at)"]),
        ("SELECT * FROM media_requests ORDER BY created_at DESC LIMIT 20",
         ["media_requests (created_at)"]),
        ("UPDATE media_requests SET title = $1 WHERE user_id = $2", ["media_requests (user_id)"]),
        ("DELETE FROM error_logs WHERE created_at < $1", ["error_logs (created_at)"]),
        ("SELECT * FROM users u JOIN error_logs e ON e.user_id = u.id WHERE u.email = $1",
         ["error_logs (user_id)"]),
        ("SELECT * FROM users WHERE id IN (SELECT user_id FROM error_logs WHERE created_at > $1)",
         ["error_logs (created_at)"]),
    ],
)  # fmt: skip
async def test_a_candidate_has_equality_first_and_one_column_more(
    bare_db: Database, statement: str, expected: list[str]
) -> None:
    assert await wished(bare_db, statement) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM users WHERE email = $1",
        "SELECT * FROM media_requests WHERE tmdb_id = $1",
        "SELECT * FROM media_requests WHERE id = $1 AND created_at > $2",
        "SELECT * FROM media_requests WHERE media_type = $1",
        "SELECT * FROM media_requests WHERE user_id = $1 OR created_at > $2",
        "SELECT * FROM media_requests ORDER BY created_at",
        "SELECT * FROM service_status WHERE status = $1 AND response_time_ms > $2",
        "WITH error_logs AS (SELECT 1 AS user_id) SELECT * FROM error_logs WHERE user_id = $1",
        "SELECT * FROM nowhere WHERE a = $1",
        "SELECT * FROM media_requests WHERE user_id = user_id",
        "VACUUM media_requests",
        "SELECT (",
    ],
    ids=["unique", "beginning", "one row", "few values", "or", "all rows", "small table", "cte",
         "unknown", "itself", "no query", "no SQL"],
)  # fmt: skip
async def test_no_candidate_where_none_would_help_or_one_is_there(
    bare_db: Database, statement: str
) -> None:
    assert await wished(bare_db, statement) == []


async def test_a_partitioned_table_has_candidates_of_its_own(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE visits (at date, path text) PARTITION BY RANGE (at)",
        "CREATE TABLE visits_rest PARTITION OF visits DEFAULT",
        "INSERT INTO visits SELECT '2030-01-01', g::text FROM generate_series(1, 2000) AS g",
        "ANALYZE visits",
    )
    statement = "SELECT * FROM visits WHERE path = $1 AND at > $2"
    assert await wished(empty_db, statement) == ["visits (path, at)"]


async def test_candidates_of_several_statements_are_told_once(bare_db: Database) -> None:
    first = "SELECT id FROM error_logs WHERE user_id = $1"
    second = "SELECT count(*) FROM error_logs WHERE user_id = $1"
    catalog, spreads = await known(bare_db)
    readings = [(text, read(text, Names(catalog))) for text in (first, second)]
    (only,) = derive(readings, catalog, spreads)
    assert only.reason == f"equality: {first}; {second}"


async def values_of(database: Database, text: str, values: str = "") -> Any:
    async with connect(Target("it", database)) as connection:
        catalog = await read_catalog(connection)
        reading = read(text, Names(catalog))
        return await values_for(connection, Statement("it", text, 1.0, values), reading, catalog, 5)


async def test_values_come_from_rows_that_are_there(medianest_db: Database) -> None:
    found = await values_of(
        medianest_db, "SELECT * FROM media_requests WHERE user_id = $1 AND status = $2 LIMIT $3"
    )
    assert len(found) == 5
    with psycopg.connect(**medianest_db) as connection:
        for user, status, limit in found:
            row = connection.execute(
                "SELECT count(*) FROM media_requests WHERE user_id = %s AND status = %s",
                (user, status),
            ).fetchone()
            assert row is not None
            assert row[0] > 0
            assert limit == "20"


async def test_a_range_holds_few_of_the_rows(medianest_db: Database) -> None:
    text = "SELECT * FROM media_requests WHERE created_at > $1"
    ((bound,), *_rest) = await values_of(medianest_db, text)
    between = "SELECT * FROM media_requests WHERE created_at BETWEEN $1 AND $2"
    ((low, high), *_more) = await values_of(medianest_db, between)
    with psycopg.connect(**medianest_db) as connection:
        row = connection.execute(
            "SELECT avg((created_at > %s)::int), avg((created_at BETWEEN %s AND %s)::int)"
            " FROM media_requests",
            (bound, low, high),
        ).fetchone()
    assert row is not None
    assert all(0.03 < share < 0.07 for share in row)


async def test_an_array_is_written_as_one(medianest_db: Database) -> None:
    ((array,), *_rest) = await values_of(
        medianest_db, "SELECT * FROM users WHERE email = ANY($1::text[])"
    )
    assert array.startswith('{"')
    assert "@example.org" in array


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        ("SELECT * FROM users WHERE lower(email) = $1", "", "What \\$1 stands for"),
        ("SELECT * FROM users WHERE id = $1", "SELECT id, email FROM public.users", "1 parameters"),
        ("SELECT * FROM users WHERE id = $1", "SELECT id FROM public.users WHERE false", "no rows"),
    ],
)
async def test_why_there_are_no_values_is_said(
    medianest_db: Database, text: str, values: str, reason: str
) -> None:
    with pytest.raises(NoValues, match=reason):
        await values_of(medianest_db, text, values)


async def test_every_statement_of_the_bundled_workload_is_understood(
    medianest_db: Database,
) -> None:
    """Its candidates are exactly the indexes that are there, so none is left."""
    catalog, spreads = await known(medianest_db)
    workload = load("medianest").workload
    assert workload is not None
    readings = [(name, read(one.sql, Names(catalog))) for name, one in workload.queries.items()]
    wished = derive(readings, catalog, spreads)
    assert [one.statement.partition(" ON public.")[2] for one in wished] == [
        "media_requests (user_id, status, created_at)",
        "error_logs (user_id, created_at)",
    ]
    for index in load("medianest").indexes_for_speed:
        assert any(index == known.name for known in catalog.indexes)


async def test_what_a_parameter_means_is_read(medianest_db: Database) -> None:
    catalog, _spreads = await known(medianest_db)
    reading = read(
        "UPDATE users SET name = $1, plex_id = plex_id+$4 WHERE last_login_at >= $2 AND"
        " id = ANY($3)",
        Names(catalog),
    )
    assert {number: (m.column, m.how) for number, m in reading.meanings.items()} == {
        1: ("name", How.SET),
        2: ("last_login_at", How.ABOVE),
        3: ("id", How.ANY),
        4: ("plex_id", How.SET),
    }
    assert read("SELECT ($1", Names(catalog)) == Reading()
    either = read("SELECT 1 FROM users WHERE NOT (email LIKE $1 OR status <> $2)", Names(catalog))
    assert {number: m.column for number, m in either.meanings.items()} == {1: "email", 2: "status"}


async def test_the_slowest_statements_are_the_applications(medianest_db: Database) -> None:
    run_sql(medianest_db, "SELECT pg_stat_statements_reset()")
    run_sql(medianest_db, "SELECT count(*) FROM users WHERE email = 'x'", "SELECT * FROM pg_class")
    session = Session(Target("it", medianest_db))
    try:
        found = await slowest(session, 20)
    finally:
        await session.close()
    assert [one.sql for one in found] == ["SELECT count(*) FROM users WHERE email = $1"]
    assert found[0].weight == 1.0


async def test_a_server_that_counts_nothing_says_how_to_begin(empty_db: Database) -> None:
    session = Session(Target("it", empty_db))
    try:
        with pytest.raises(ActionRefused, match="not in this database"):
            await slowest(session, 20)
    finally:
        await session.close()


@pytest.mark.parametrize(
    "text", ["DROP INDEX a", "CREATE TABLE t (a int)", "", "CREATE INDEX ON t (a); DROP TABLE t"]
)
def test_a_candidate_is_one_create_index(text: str) -> None:
    with pytest.raises(ActionRefused):
        typed_candidates([text])


def test_a_candidate_may_be_of_any_kind() -> None:
    (one,) = typed_candidates(["create unique index concurrently on t using gin (a) where b;"])
    assert one.statement == "create unique index concurrently on t using gin (a) where b"


FASTER = Change(0.9, 0.85, 0.95)


def a_result(**changes: Any) -> LabResult:
    query = QueryResult("find [a] user", "SELECT 1", 3.0, False, 10.0, 1.0, FASTER, 10, 9.0, 8.0,
                        ("Seq Scan on users",), ("Index Scan on users",), ("i",))  # fmt: skip
    index = IndexResult("i", "users", "CREATE INDEX i ON users (email)", "asked for", 8192, 0.5,
                        ("find [a] user",), ("find [a] user",), ("email",), False)  # fmt: skip
    given: dict[str, Any] = {
        "at": datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
        "seconds": 12.0,
        "profile": "medianest",
        "server_version": "18.6",
        "place": "a temporary server of PostgreSQL 18",
        "source": "sample data",
        "workload": "the workload",
        "settings": {"work_mem": "4 MB"},
        "rounds": 9,
        "tables": (TableSize("users", 1000, 81920),),
        "indexes": (index,),
        "queries": (query,),
        "overall": FASTER,
        "writes": (),
        "skipped": (Skipped("other", "It is slow."),),
    }
    return LabResult(**(given | changes))


@pytest.mark.parametrize(
    ("overall", "expected"),
    [
        (FASTER, "90.0% less time with 1 index"),
        (Change(-0.5, -0.6, -0.4), "50.0% MORE time with 1 index"),
        (Change(0.5, -0.1, 0.6), "No difference with 1 index (-60.0% to +10.0%)"),
        (None, "Nothing could be measured with 1 index"),
    ],
)
def test_the_headline_claims_no_more_than_was_measured(
    overall: Change | None, expected: str
) -> None:
    assert words.headline(a_result(overall=overall)) == expected


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_every_form_tells_figures_conditions_and_what_was_left_out(form: str) -> None:
    shown = " ".join(FORMATS[form](a_result()).replace("\\", "").split())
    for part in ("90.0% less time", "-95.0% to -85.0%", "find [a] user", "8.0 kB", "sample data",
                 "CREATE INDEX i ON users (email);", "2030-01-02 03:04 UTC", "It is slow",
                 "temporary server of PostgreSQL 18", "bootstrap"):  # fmt: skip
        assert part in shown


def test_text_keeps_to_80_columns() -> None:
    assert all(len(line) <= 80 for line in FORMATS["text"](a_result()).splitlines())


def test_a_result_is_kept_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lab.json"
    assert kept(path) is None
    keep(a_result(), path)
    assert kept(path) == a_result()
    assert path.stat().st_mode & 0o777 == 0o600
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"rounds": "many"}))
    with pytest.raises(CommandFailed, match="cannot be read"):
        kept(path)


def test_each_database_has_a_result_of_its_own() -> None:
    assert path_of("a @ here") != path_of("b @ here")
