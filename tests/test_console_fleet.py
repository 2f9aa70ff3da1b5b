"""fleet: every target at once, and one that is down or mute holds up nobody."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from agents import AgentProcess, until, write_settings
from conftest import run_sql
from psycopg.conninfo import make_conninfo

from console.backup.store import Store
from console.cli import main
from console.errors import ExitCode

Database = dict[str, Any]


def settings_file(directory: Path, **urls: str) -> str:
    path = directory / "settings.yaml"
    document = {
        "targets": {name: {"url": url} for name, url in urls.items()},
        "backups": {"directory": str(directory / "backups")},
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)


def lines(capsys: pytest.CaptureFixture[str], path: str) -> dict[str, Any]:
    main(["fleet", "--settings", path, "--json"])
    return {line["target"]: line for line in json.loads(capsys.readouterr().out)}


def test_dead_and_mute_targets_say_so_beside_a_live_one(
    empty_db: Database, mute_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(empty_db, "CREATE TABLE t (id int)")
    path = settings_file(
        tmp_path,
        dead="postgresql://127.0.0.1:1/none",
        mute=f"postgresql://127.0.0.1:{mute_port}/none",
        live=make_conninfo(**empty_db),
    )
    seen = lines(capsys, path)
    assert list(seen) == ["dead", "mute", "live"]
    assert seen["dead"]["verdict"] == seen["mute"]["verdict"] == "down"
    assert "No connection to 127.0.0.1:1" in seen["dead"]["problem"]
    assert seen["mute"]["problem"]
    live = seen["live"]
    assert (live["verdict"], live["role"]) == ("warning", "primary")
    assert live["connections"] >= 1
    assert live["bytes"] > 1_000_000
    assert live["alerts"] is None, "no agent runs, so nothing is known of alerts"
    assert [finding["check"] for finding in live["findings"]] == ["fleet.backup"]
    assert main(["fleet", "--settings", path]) == ExitCode.FAILURES
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:2] == ["TARGET", "VERDICT"]
    assert "down" in table[1]
    assert "primary" in table[3]
    assert "failure: dead: No connection" in "\n".join(table)


def test_an_entry_that_cannot_be_used_is_its_own_line(
    empty_db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = settings_file(
        tmp_path, wrong="mysql://u:hidden@there/db", live=make_conninfo(**empty_db)
    )
    assert main(["fleet", "--settings", path]) == ExitCode.FAILURES
    told = capsys.readouterr().out
    assert "not a PostgreSQL address" in told
    assert "hidden" not in told
    assert "primary" in told


def test_a_proven_backup_is_told_and_makes_the_line_well(
    empty_db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(empty_db, "CREATE TABLE t (id int)")
    path = settings_file(tmp_path, live=make_conninfo(**empty_db))
    assert main(["fleet", "--settings", path]) == ExitCode.WARNINGS
    created = ["backup", "create", "--settings", path, "--target", "live"]
    assert main(created) == ExitCode.OK
    capsys.readouterr()
    assert main(["fleet", "--settings", path]) == ExitCode.OK
    assert "just now" in capsys.readouterr().out
    assert lines(capsys, path)["live"]["verified_backup"]["id"]


def test_without_targets_it_says_how_to_add_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("refresh_seconds: 2\n")
    assert main(["fleet", "--settings", str(path)]) == ExitCode.UNKNOWN
    assert "targets" in capsys.readouterr().err


@pytest.fixture
def one_dead_of_two(empty_db: Database, tmp_path: Path) -> str:
    run_sql(empty_db, "CREATE TABLE t (id int)")
    return settings_file(
        tmp_path, dead="postgresql://127.0.0.1:1/none", live=make_conninfo(**empty_db)
    )


def test_check_all_goes_on_after_a_dead_one_and_lists_both(
    one_dead_of_two: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["check", "--all", "--only", "schema", "--settings", one_dead_of_two]
    assert main([*command, "--format", "json"]) == ExitCode.UNKNOWN
    dead, live = json.loads(capsys.readouterr().out)
    assert (dead["target"], live["target"]) == ("dead", "live")
    assert "No connection" in dead["error"]
    assert live["report"]
    assert main(command) == ExitCode.UNKNOWN
    said = capsys.readouterr()
    assert "target dead\ntarget live\n" in said.out
    assert "No connection" in said.err
    assert main([*command, "--target", "live"]) == ExitCode.UNKNOWN
    assert "one was named" in capsys.readouterr().err


def test_run_due_all_backs_up_the_living(
    one_dead_of_two: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["backup", "run-due", "--all", "--settings", one_dead_of_two]
    assert main(command) != ExitCode.OK
    said = capsys.readouterr()
    assert "No connection" in said.err
    assert "full read of the archive" in said.out
    assert lines(capsys, one_dead_of_two)["live"]["verified_backup"]
    assert main([*command, "--json"]) != ExitCode.OK
    dead, live = json.loads(capsys.readouterr().out)
    assert "No connection" in dead["error"]
    assert (live["target"], live["due"], live["backup"]) == ("live", None, None)

    (backup,) = Store(Path(one_dead_of_two).parent / "backups").backups("live")
    shutil.rmtree(backup.path)
    single = ["backup", "run-due", "--target", "live", "--settings", one_dead_of_two, "--json"]
    assert main([*single, "--dry-run"]) == ExitCode.OK
    due = json.loads(capsys.readouterr().out)["due"]
    assert due
    assert main(single) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["due"], told["backup"]["verdict"]) == (due, "pass")
    assert told["pruned"] == told["stores"] == []


@pytest.mark.slow
def test_alerts_of_a_running_agent_are_counted_and_those_of_one_that_stopped_are_not(
    empty_db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = {"host": "127.0.0.1", "port": "1", "dbname": "none"}
    agent = {"health_seconds": 1, "checks_hour": None, "drill": "never", "backups": False}
    settings = write_settings(
        tmp_path / "settings.yaml",
        {"away": away, "home": empty_db},
        agent={**agent, "alerts": {"after_seconds": 1}},
        backups={"directory": str(tmp_path / "backups")},
    )
    path = str(settings)
    with AgentProcess(settings) as running:
        until(lambda: bool(lines(capsys, path)["away"]["alerts"]))
        seen = lines(capsys, path)
        assert [f["check"] for f in seen["away"]["findings"]] == ["agent.down", "fleet.down"]
        assert seen["home"]["alerts"] == []
        main(["fleet", "--settings", path])
        table = capsys.readouterr().out.splitlines()
        assert (table[1].split()[-1], table[2].split()[-1]) == ("1", "none")
        assert running.stop() == 0
    main(["fleet", "--settings", path])
    table = capsys.readouterr().out.splitlines()
    assert table[1].endswith("no agent")
    assert table[2].endswith("no agent")
