"""Experiments on real servers: copies are measured, and the live database is only read."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import make_backup, settings_for, target_of
from conftest import Database, run_sql
from fingerprints import fingerprint
from psycopg import sql
from psycopg.conninfo import make_conninfo

from console.backup.store import Store
from console.backup.verify import verify
from console.cli import main
from console.errors import ActionRefused, ConsoleError, ExitCode
from console.lab.bench import Bench, Subject
from console.lab.building import Tried
from console.lab.experiment import LabOptions, experiment, silent
from console.lab.hypothesis import worth_building
from console.lab.place import Wanted
from console.lab.result import LabResult, kept, path_of
from console.lab.spread import Verdict
from console.lab.statements import Statement
from console.local_server import LocalServer
from console.profile import Profile, Workload, WorkloadQuery, load
from console.session import Connection, connect
from console.settings import Settings
from console.tools import ToolSettings
from queries.catalog import read_catalog

pytestmark = pytest.mark.slow

OWN = "SELECT id, title FROM media_requests WHERE user_id = $1 AND status = $2"


def small_profile(**changes: WorkloadQuery) -> Profile:
    """MediaNest's, with few statements."""
    queries = {
        "own": WorkloadQuery(OWN, "SELECT user_id, status FROM media_requests", 5),
        "sign in": WorkloadQuery(
            "SELECT id FROM users WHERE email = $1", "SELECT email FROM users", 3
        ),
        "complete": WorkloadQuery(
            "UPDATE media_requests SET status = 'completed' WHERE id = $1",
            "SELECT id FROM media_requests",
        ),
    }
    index = "media_requests_user_id_status_idx"
    return Profile(
        "small",
        tables=load("medianest").tables,
        workload=Workload({**queries, **changes}, (index,)),
    )


async def tried(
    database: Database, root: Path, profile: Profile | None = None, **options: Any
) -> LabResult:
    given: dict[str, Any] = {"wanted": Wanted("copy"), "rounds": 5, "runs": 5}
    return await experiment(
        target_of(database),
        Settings(backups=settings_for(root)),
        profile or small_profile(),
        LabOptions(**(given | options)),
    )


def statements_logged(server: LocalServer, database: Database) -> list[str]:
    """What this database's sessions ran since log_statement was switched on for it alone."""
    text = server.directory.log.read_text(errors="replace")
    marks = ("statement: ", "execute ")
    return [
        line.partition("LOG:  ")[2]
        for line in text.splitlines()
        if "LOG:  " in line and line.partition("LOG:  ")[2].startswith(marks)
    ]


READING = ("select", "set ", "begin", "commit", "rollback", "copy", "lock", "show", "with",
           "declare", "fetch", "close", "prepare", "execute", "start transaction")  # fmt: skip


async def test_the_live_database_is_only_read(
    medianest_db: Database, server: LocalServer, tmp_path: Path
) -> None:
    name = sql.Identifier(medianest_db["dbname"])
    before = fingerprint(medianest_db)
    run_sql(medianest_db, sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(name))
    known = len(statements_logged(server, medianest_db))
    await tried(medianest_db, tmp_path)
    logged = statements_logged(server, medianest_db)[known:]
    run_sql(medianest_db, sql.SQL("ALTER DATABASE {} RESET log_statement").format(name))
    assert len(logged) > 20, "nothing was logged, so nothing was proven"
    for line in logged:
        text = line.partition(": ")[2].lstrip(" -\n(").lower()
        # Our questions begin with a comment that says what they answer.
        assert text.startswith(READING) or line.partition(": ")[2].startswith("--"), line
        assert " stdin" not in text
    assert fingerprint(medianest_db) == before


async def test_a_profiles_index_is_measured_with_its_gain_and_its_cost(
    medianest_db: Database, tmp_path: Path
) -> None:
    result = await tried(medianest_db, tmp_path)
    own, sign_in, complete = result.queries
    assert own.used == ("media_requests_user_id_status_idx",)
    assert own.without_ms > own.with_ms > 0
    assert any(scan.startswith("Seq Scan") for scan in own.scans_without)
    assert own.cost_without > own.cost_with
    assert sign_in.used == ()
    assert sign_in.scans_without == sign_in.scans_with
    assert complete.writes
    (index,) = result.indexes
    assert index.was_there
    assert index.bytes > 8192
    assert "own" in index.used_by
    assert index.newly_indexed == ("user_id", "status")
    (cost,) = result.writes
    assert cost.indexes_with == cost.indexes_without + 1
    assert cost.without_us > 0
    (table,) = result.tables
    assert (table.name, table.rows) == ("media_requests", 2000)
    assert "temporary server" in result.place
    assert result.settings["shared_buffers"] == "64 MB"
    assert result.skipped == ()


async def test_candidates_are_found_tried_alone_and_together(
    medianest_db: Database, tmp_path: Path
) -> None:
    run_sql(
        medianest_db,
        "DROP INDEX media_requests_user_id_status_idx, error_logs_correlation_id_idx",
        "SELECT pg_stat_statements_reset()",
    )
    with psycopg.connect(**medianest_db) as connection:
        for user in range(3):
            connection.execute(OWN.replace("$1", "%s").replace("$2", "%s"), (str(user), "pending"))
            connection.execute(
                "SELECT id FROM error_logs WHERE correlation_id = %s", (f"number {user}",)
            )
    result = await tried(medianest_db, tmp_path, derive=True)
    tables = {index.table: index for index in result.indexes}
    assert set(tables) == {"media_requests", "error_logs"}
    for index in tables.values():
        assert not index.was_there
        assert index.used_by
        assert index.alone
        assert index.write is not None
        assert index.statement.startswith("CREATE INDEX ON public.")
    assert "pg_stat_statements" in result.workload
    assert result.overall is not None


async def test_candidates_typed_are_measured_though_no_plan_uses_them(
    medianest_db: Database, tmp_path: Path
) -> None:
    given = (
        "CREATE INDEX useless ON media_requests (overseerr_id)",
        "CREATE INDEX broken ON media_requests (no_such_column)",
    )
    result = await tried(medianest_db, tmp_path, candidates=given)
    (index,) = result.indexes
    assert (index.name, index.verdict) == ("useless", "not used")
    assert index.write is not None
    (skipped,) = result.skipped
    assert "no_such_column" in skipped.reason


async def test_what_cannot_be_measured_is_named_and_the_rest_goes_on(
    medianest_db: Database, tmp_path: Path
) -> None:
    run_sql(medianest_db, "CREATE FUNCTION reach() RETURNS int LANGUAGE sql VOLATILE"
            " AS 'SELECT 1'")  # fmt: skip
    profile = small_profile(
        wrong=WorkloadQuery("SELECT no_such_column FROM users"),
        forbidden=WorkloadQuery("SELECT pg_terminate_backend(1)"),
        volatile=WorkloadQuery("SELECT reach()"),
        unknown=WorkloadQuery("SELECT * FROM users WHERE lower(email) = $1"),
        failing=WorkloadQuery("SELECT 1 / (count(*) - count(*)) FROM users"),
    )
    result = await tried(medianest_db, tmp_path, profile)
    assert {one.name for one in result.skipped} == {
        "wrong", "forbidden", "volatile", "unknown", "failing"
    }  # fmt: skip
    assert [query.name for query in result.queries] == ["own", "sign in", "complete"]


async def test_a_statement_without_values_is_planned_for_any_and_not_timed(
    medianest_db: Database, tmp_path: Path
) -> None:
    run_sql(medianest_db, "DROP INDEX media_requests_user_id_status_idx")
    text = "SELECT id || $1 FROM media_requests WHERE user_id = $2"
    index = "CREATE INDEX ON media_requests (user_id)"
    result = await tried(medianest_db, tmp_path, statements=(text,), candidates=(index,))
    assert result.queries == ()
    assert result.overall is None
    (found,) = result.indexes
    assert found.verdict == "planned only"
    (use,) = found.planned
    assert use.cost_with < use.cost_without
    assert "planned, not timed" in result.skipped[0].reason


async def test_an_index_of_a_partitioned_table_is_seen_in_its_partitions(
    empty_db: Database, tmp_path: Path
) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE visits (at date, path text) PARTITION BY RANGE (at)",
        "CREATE TABLE visits_rest PARTITION OF visits DEFAULT",
        "INSERT INTO visits SELECT '2030-01-01', g::text FROM generate_series(1, 5000) AS g",
        "ANALYZE",
    )
    text = "SELECT * FROM visits WHERE path = $1"
    result = await experiment(
        target_of(empty_db),
        Settings(backups=settings_for(tmp_path)),
        None,
        LabOptions(Wanted("copy"), statements=(text,), derive=True, rounds=3, runs=3),
    )
    (index,) = result.indexes
    assert index.used_by == (text,)
    assert index.bytes > 8192
    assert result.queries[0].used == (index.name,)
    assert result.tables[0].bytes > 8192


async def test_a_verified_backup_is_measured_rather_than_the_database(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    await verify(Store(tmp_path), backup, ToolSettings())
    run_sql(medianest_db, "DROP TABLE rate_limits")
    result = await tried(medianest_db, tmp_path, wanted=Wanted("backup"))
    assert backup.id in result.source
    assert result.queries


def databases(server: LocalServer) -> set[str]:
    with psycopg.connect(**dict(server.conninfo("postgres"))) as connection:  # type: ignore[arg-type]
        return {str(row[0]) for row in connection.execute("SELECT datname FROM pg_database")}


async def test_on_the_server_itself_nothing_is_left_behind(
    medianest_db: Database, server: LocalServer, tmp_path: Path
) -> None:
    before, state = databases(server), fingerprint(medianest_db)
    result = await tried(medianest_db, tmp_path, wanted=Wanted("copy", on_server=True))
    assert result.queries
    assert "temporary" not in result.place
    assert databases(server) == before
    seen: list[str] = []

    def cancels(phase: str) -> None:
        seen.append(phase)
        if phase.startswith("round 2"):
            assert len(databases(server) - before) == 2
            asyncio.current_task().cancel()  # type: ignore[union-attr]

    with pytest.raises(asyncio.CancelledError):
        await experiment(
            target_of(medianest_db),
            Settings(backups=settings_for(tmp_path)),
            small_profile(),
            LabOptions(Wanted("copy", on_server=True), rounds=5, runs=5),
            cancels,
        )
    assert databases(server) == before
    assert fingerprint(medianest_db) == state


async def test_nothing_to_try_and_nothing_to_measure_are_told(
    medianest_db: Database, empty_db: Database, tmp_path: Path
) -> None:
    with pytest.raises(ActionRefused, match="no index to try"):
        await tried(medianest_db, tmp_path, indexes=("no_such_index",))
    with pytest.raises(ConsoleError, match="not in this database"):
        await tried(empty_db, tmp_path, Profile("none"))


async def test_hypopg_keeps_what_no_plan_would_use_from_being_built(
    medianest_db: Database,
) -> None:
    with psycopg.connect(**medianest_db) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'"
        ).fetchone()
        major = connection.info.server_version // 10000
    is_there = row is not None and row[0] == 1
    assert is_there or major != 15 or "CI" not in os.environ, "postgresql-15-hypopg is missing"
    useful = Tried("useful", "CREATE INDEX ON error_logs (error_code, user_id)", "")
    useless = Tried("useless", "CREATE INDEX ON error_logs (request_path)", "")
    text = "SELECT id FROM error_logs WHERE error_code = 'none' AND user_id || '' > 'x'"
    target = target_of(medianest_db)
    async with (
        connect(target, read_only=False, plans_as_usual=True) as one,
        connect(target, plans_as_usual=True) as other,
    ):
        bench = Bench(one, other)
        subjects = await bench.prepared([Subject(Statement("it", text, 1.0), ((),))])
        kept = await worth_building(bench, [useful, useless], subjects, silent)
        before = set(await read_names(one))
    if is_there:
        assert kept == [useful]
        (skipped,) = bench.skipped
        assert skipped.name == "useless"
        assert "hypopg, about" in skipped.reason
    else:
        assert kept == [useful, useless]
    assert not any(name.startswith("error_logs_error_code") for name in before)


async def read_names(connection: Connection) -> list[str]:
    return [index.name for index in (await read_catalog(connection)).indexes]


def test_the_command_needs_no_database_for_sample_data_and_keeps_the_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/medianest")
    code = main(["index-lab", "--rows", "small", "--rounds", "3", "--runs", "3", "--format",
                 "json"])  # fmt: skip
    assert code == ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    assert len(document["indexes"]) == 13
    assert len(document["queries"]) == 20
    result = kept(path_of("medianest @ 127.0.0.1:1"))
    assert result is not None
    assert result.overall is not None
    assert result.overall.verdict is Verdict.FASTER
    newest = next(query for query in result.queries if query.name == "newest requests")
    assert newest.change.verdict is Verdict.FASTER


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--on-server", "--read-only"], "forbids it"),
        (["--rows", "small", "--fresh"], "no live data"),
        (["--rows", "small", "--candidate", "DROP TABLE users"], "makes no index"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index-lab", *arguments]) == ExitCode.UNKNOWN
    assert said in capsys.readouterr().err


def test_the_next_report_has_the_figure_with_its_conditions(
    medianest_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["--dsn", make_conninfo(**medianest_db), "--format", "json"]
    main(["report", *target])
    before = json.loads(capsys.readouterr().out)
    assert "index-lab measures it" in json.dumps(before)
    lab = ["index-lab", "--rows", "small", "--rounds", "3", "--runs", "2"]
    main([*lab, *target])
    figure = json.loads(capsys.readouterr().out)["overall"]["share"]
    main(["report", *target])
    told = json.dumps(json.loads(capsys.readouterr().out))
    assert "index-lab measures it" not in told
    assert f"{abs(figure):.1%} less time with 13 indexes" in told
    assert "MediaNest's sample data, 5000 rows" in told
