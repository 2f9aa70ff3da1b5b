"""activity, timings and replay on the command line: one look, a recording, and reading it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import run_sql
from psycopg.conninfo import make_conninfo
from sessions import stage

from console.cli import main
from console.errors import ExitCode

Database = dict[str, Any]


@pytest.fixture
def dsn(empty_db: Database) -> str:
    return make_conninfo(**empty_db)


def blocked(database: Database) -> bool:
    with psycopg.connect(**database) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        ).fetchone()
    return row is not None and row[0] == 1


def test_activity_shows_who_works_and_who_blocks(
    empty_db: Database, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(empty_db, "CREATE TABLE t (id int)")
    with stage(empty_db) as enter:
        root = enter("root").does("BEGIN", "LOCK TABLE t")
        enter("waiter").starts("SELECT * FROM t")
        while not blocked(empty_db):
            pass
        assert main(["activity", "--dsn", dsn]) == ExitCode.OK
        text = capsys.readouterr().out
        assert "1 waiting for a lock" in text
        assert "who blocks whom" in text
        assert "AccessShare on t" in text
        assert main(["activity", "--dsn", dsn, "--format", "json"]) == ExitCode.OK
        document = json.loads(capsys.readouterr().out)
        assert document["blocking"][0]["who"] == root.pid
        assert document["blocking"][1]["waits_for"] == "AccessShare on t"


def test_a_recording_is_made_and_its_worst_moment_found(
    empty_db: Database, dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(empty_db, "CREATE TABLE t (id int)")
    path = tmp_path / "looks.jsonl.z"
    record = ["activity", "--dsn", dsn, "--record", str(path), "--every", "0.1", "--for", "0.5"]
    with stage(empty_db) as enter:
        enter("root").does("BEGIN", "LOCK TABLE t")
        enter("waiter").starts("SELECT 'secret' FROM t")
        while not blocked(empty_db):
            pass
        assert main(record) == ExitCode.OK
    capsys.readouterr()
    assert main(["replay", str(path)]) == ExitCode.OK
    index = capsys.readouterr().out.splitlines()
    assert "PostgreSQL" in index[0]
    assert len(index) >= 3
    assert main(["replay", str(path), "--worst"]) == ExitCode.OK
    worst = capsys.readouterr().out
    assert "who blocks whom" in worst
    assert "secret" not in worst
    assert main(["replay", str(path), "--at", index[1].split()[1]]) == ExitCode.OK
    assert main(["replay", str(path), "--at", "25:99"]) == ExitCode.UNKNOWN
    assert main(record) == ExitCode.UNKNOWN, "a recording is never overwritten"


def test_timings_are_counted_or_called_sampled(
    empty_db: Database, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["timings", "--dsn", dsn, "--for", "0.4"]) == ExitCode.OK
    assert "SAMPLED" in capsys.readouterr().out
    run_sql(empty_db, "CREATE EXTENSION pg_stat_statements", "SELECT 1 AS marked")
    assert main(["timings", "--dsn", dsn, "--for", "0.2", "--format", "json"]) == ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    assert document["counted_by"].startswith("pg_stat_statements 1.")
    assert any("marked" in s["text"] for s in document["statements"])
    assert main(["timings", "--dsn", dsn, "--for", "0.2"]) == ExitCode.OK
    assert "marked" in capsys.readouterr().out


@pytest.mark.parametrize(
    "mistake",
    [
        ["activity", "--record", "x", "--every", "never"],
        ["activity", "--record", "x", "--max-mb", "0"],
        ["timings", "--top", "0"],
        ["replay", "/nowhere/at/all"],
        ["diagnose", "nonsense"],
    ],
    ids=" ".join,
)
def test_a_mistake_is_said_in_a_sentence(
    mistake: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(mistake)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    assert code == ExitCode.UNKNOWN
    assert "Traceback" not in capsys.readouterr().err
