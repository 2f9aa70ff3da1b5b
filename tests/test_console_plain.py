"""Plain output: one sentence a line, whatever is in the names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import run_sql

from console import plain
from console.backup.policy import Retention
from console.cli import main

Run = Callable[..., int]


@pytest.fixture
def cli(medianest_db: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"backups:\n  directory: {tmp_path / 'backups'}\n  keep_free_mb: 0\n")
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    for keyword, variable in (names | {"passfile": "PGPASSFILE"}).items():
        monkeypatch.setenv(variable, medianest_db[keyword])
    return lambda *words: main(["--settings", str(settings), *words])


def lines_of(said: str) -> list[str]:
    """Each a sentence: nothing indented, nothing in columns, no mark but of ASCII."""
    lines = said.splitlines()
    for line in lines:
        assert line == " ".join(line.split()), line
        assert line[0].isalnum(), line
        assert line.isascii(), line
    return lines


def test_the_checks_a_line_each(
    cli: Run, medianest_db: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(medianest_db, "DROP INDEX public.error_logs_correlation_id_idx")
    assert cli("check", "--profile", "medianest", "--plain") == 2
    lines = lines_of(capsys.readouterr().out)
    assert lines[0].startswith("NOT READY")
    assert any(line.startswith("Check Indexes: failure.") for line in lines)
    assert any(line.startswith("Failure, Indexes, ") for line in lines)
    assert any(line.startswith("To mend it: CREATE INDEX") for line in lines)


def test_backups_and_a_restores_plan_a_line_each(
    cli: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("backup", "create", "--tier", "daily", "--note", "before lunch") == 0
    capsys.readouterr()
    assert cli("backup", "list", "--plain") == 0
    lines = lines_of(capsys.readouterr().out)
    assert lines[0] == "1 backup."
    assert "verified: pass, drilled: not yet" in lines[1]
    assert "Note: before lunch." in lines[1]
    assert cli("restore", "latest", "--plan", "--plain") == 0
    assert any(line.startswith("Step 1: Restore ") for line in lines_of(capsys.readouterr().out))


def test_without_a_backup_it_says_so() -> None:
    assert plain.backups((), Retention(), datetime.now(UTC)) == "0 backups.\n"
