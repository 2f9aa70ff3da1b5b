"""A load test: what pgbench logged is read right, and a copy is loaded, never the database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import settings_for, target_of
from psycopg.conninfo import make_conninfo

from console.cli import main
from console.errors import CommandFailed, ConsoleError, ExitCode, SettingsError
from console.findings import Severity
from console.loadtest.latency import Latency, read_log
from console.loadtest.measure import LoadOptions, measure
from console.loadtest.result import LoadResult, keep, kept, path_of, section
from console.loadtest.script import Script, read_scripts
from console.settings import Settings

Database = dict[str, Any]
AT = datetime(2030, 1, 2, tzinfo=UTC)


def test_percentiles_are_of_each_scripts_own_runs() -> None:
    lines = [f"0 {n} {n * 1000} 0 1700000000 1" for n in range(1, 101)]
    lines += ["1 1 7000 1 1700000000 1", "1 2 failed 1 1700000000 1", "1 3 skipped 1 1700000000 1"]
    first, second = read_log(lines, ["a", "b"])
    assert first == Latency("a", 100, 0, 50.0, 95.0, 99.0, 100.0)
    assert second == Latency("b", 1, 2, 7.0, 7.0, 7.0, 7.0)
    assert read_log([], ["a"]) == (Latency("a", 0, 0, None, None, None, None),)


@pytest.mark.parametrize("line", ["", "1 2", "0 1 x 0 1 1", "0 1 5 7 1 1", "0 1 5 -1 1 1"])
def test_a_line_that_is_none_of_pgbenchs_is_told(line: str) -> None:
    with pytest.raises(CommandFailed, match="log is not understood"):
        read_log([line], ["a"])


def result(*latencies: Latency) -> LoadResult:
    return LoadResult(AT, 20, 30.0, 50.0, "18.6", "a temporary server", "a copy", latencies)


@pytest.mark.parametrize(
    ("latency", "severity"),
    [
        (Latency("a", 100, 0, 1.0, 50.0, 80.0, 900.0), Severity.OK),
        (Latency("a", 100, 0, 1.0, 50.1, 80.0, 900.0), Severity.WARNING),
        (Latency("a", 100, 1, 1.0, 2.0, 3.0, 4.0), Severity.FAILURE),
        (Latency("a", 0, 0, None, None, None, None), Severity.FAILURE),
    ],
)
def test_p95_is_held_against_the_limit_and_a_failed_run_fails(
    latency: Latency, severity: Severity
) -> None:
    assert section(result(latency)).severity is severity


def test_a_result_is_kept_for_the_next_report(tmp_path: Path) -> None:
    path = tmp_path / "new" / "load.json"
    assert kept(path) is None
    keep(result(Latency("a", 1, 0, 1.0, 2.0, 3.0, 4.0)), path)
    assert kept(path) == result(Latency("a", 1, 0, 1.0, 2.0, 3.0, 4.0))
    path.write_text('{"at": "2030-01-01T00:00:00"}')
    with pytest.raises(CommandFailed, match="cannot be read"):
        kept(path)


def test_a_script_has_a_weight_and_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "one@home.sql"
    path.write_text("SELECT 1;")
    assert read_scripts([str(path), f"{path}@3"]) == (
        Script("one@home.sql", "SELECT 1;", 1),
        Script("one@home.sql", "SELECT 1;", 3),
    )
    for wrong in (f"{path}@0", f"{path}@9999", str(tmp_path / "none"), str(tmp_path)):
        with pytest.raises(SettingsError):
            read_scripts([wrong])


def written(database: Database) -> int:
    query = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::int FROM pg_stat_user_tables"
    with psycopg.connect(**database) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


READS = """\
\\set offset random(0, 20)
SELECT id, title FROM media_requests WHERE user_id =
  (SELECT id FROM users ORDER BY id OFFSET :offset LIMIT 1) AND status = 'pending' LIMIT 20;
"""
WRITES = "UPDATE users SET last_login_at = now() WHERE id = (SELECT min(id) FROM users);\n"


@pytest.mark.slow
async def test_scripts_load_a_copy_and_leave_the_database_alone(
    medianest_db: Database, tmp_path: Path
) -> None:
    before = written(medianest_db)
    scripts = (Script("reads", READS, 5), Script("writes", WRITES))
    done = await measure(
        target_of(medianest_db),
        Settings(backups=settings_for(tmp_path)),
        LoadOptions(clients=5, seconds=1, scripts=scripts),
    )
    reads, writes = done.latencies
    assert reads.runs > writes.runs > 0
    for one in done.latencies:
        assert one.p50 is not None
        assert one.p95 is not None
        assert one.longest is not None
        assert 0 < one.p50 <= one.p95 <= one.longest
    assert "temporary server" in done.place
    assert "a copy of" in done.source
    assert written(medianest_db) == before
    assert list(tmp_path.rglob("*.dump")) == []


@pytest.mark.slow
async def test_a_script_that_fails_is_told_with_its_reason(
    medianest_db: Database, tmp_path: Path
) -> None:
    with pytest.raises(ConsoleError, match="no_such_table"):
        await measure(
            target_of(medianest_db),
            Settings(backups=settings_for(tmp_path)),
            LoadOptions(1, 1, scripts=(Script("bad", "SELECT * FROM no_such_table;"),)),
        )


@pytest.mark.slow
def test_the_command_reports_pgbenchs_own_load_and_the_next_report_has_it(
    medianest_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["--dsn", make_conninfo(**medianest_db), "--format", "json"]
    main(["check", "--load", "--clients", "2", "--seconds", "1", *target])
    document = json.loads(capsys.readouterr().out)
    (row,) = document["sections"][0]["tables"][0]["rows"]
    assert row[0] == "tpcb-like"
    main(["report", *target])
    sections = {one["id"]: one for one in json.loads(capsys.readouterr().out)["sections"]}
    assert "speed.load" in [one["id"] for one in sections["performance"]["checks"]]


@pytest.mark.parametrize("words", [["--clients", "0"], ["--seconds", "x"], ["--clients", "٣"]])
def test_a_number_that_is_none_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["check", "--load", *words])
    assert left.value.code == ExitCode.UNKNOWN


def test_each_database_has_a_result_of_its_own() -> None:
    assert path_of("a @ here") != path_of("b @ here")
