"""The command line of backups: what it prints, how it exits, and adopting what others made."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from backups import connected, make_backup, target_of, tools_of

from console.backup.adopt import adopt
from console.backup.doctor import examine
from console.backup.drill import drill
from console.backup.manifest import FileKind, Tier, Verdict
from console.backup.policy import BackupSettings
from console.backup.store import Store
from console.backup.verify import verify
from console.cli import main
from console.errors import ActionRefused, ConsoleError
from console.findings import Severity
from console.process import run
from console.tools import ToolSettings

Database = dict[str, Any]
Run = Callable[..., int]


@pytest.fixture
def cli(medianest_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line on a database of its own and an empty backup directory."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"backups:\n  directory: {tmp_path / 'backups'}\n  keep_free_mb: 0\n")
    for variable, keyword in (
        ("PGHOST", "host"),
        ("PGPORT", "port"),
        ("PGUSER", "user"),
        ("PGDATABASE", "dbname"),
        ("PGPASSFILE", "passfile"),
    ):
        monkeypatch.setenv(variable, medianest_db[keyword])

    def command(*arguments: str) -> int:
        return main(["--settings", str(settings), *arguments])

    return command


def test_create_list_show_drill_hold_and_prune(
    cli: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli("backup", "create", "--tier", "daily", "--note", "before lunch") == 0
    said = capsys.readouterr()
    assert "before lunch" in said.out
    assert "pass: SHA-256 of each file" in said.out
    assert "dumping ..." in said.err
    assert cli("backup", "list") == 0
    listed = capsys.readouterr()
    assert "daily" in listed.out
    assert "No backup was ever restored" in listed.err
    assert cli("backup", "list", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["verdict"] == "pass"
    assert entry["manifest"]["note"] == "before lunch"
    assert entry["expires_at"] is not None
    identity = entry["id"]
    assert cli("backup", "drill") == 0
    assert "restored in" in capsys.readouterr().out
    assert cli("backup", "hold", identity[:15]) == 0
    assert cli("backup", "show", "latest", "--json") == 0
    assert '"held": true' in capsys.readouterr().out
    assert cli("backup", "release", identity) == 0
    assert cli("backup", "prune", "--dry-run") == 0
    assert f"keep    {identity}" in capsys.readouterr().out
    assert cli("backup", "prune") == 0
    assert cli("backup", "verify") == 0
    assert "verified already" in capsys.readouterr().err


def test_run_due_makes_one_and_then_none(cli: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("backup", "run-due", "--dry-run") == 0
    assert "A monthly backup is due." in capsys.readouterr().out
    assert cli("backup", "run-due") == 0
    capsys.readouterr()
    assert cli("backup", "run-due") == 0
    assert "Nothing is due." in capsys.readouterr().out


def test_a_harmed_backup_exits_with_2_and_says_which_file(
    cli: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli("backup", "create", "--no-verify") == 0
    (archive,) = (tmp_path / "backups").rglob("archive.dump")
    archive.write_bytes(archive.read_bytes()[:-1])
    capsys.readouterr()
    assert cli("backup", "verify", archive.parent.name) == 2
    assert "archive.dump has" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "show", "nope"),
        ("backup", "show", ""),
        ("backup", "drill"),
        ("backup", "adopt", "/nowhere"),
        ("--read-only", "backup", "prune"),
    ],
)
def test_mistakes_exit_with_3_and_one_sentence(
    cli: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert cli(*arguments) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_listing_needs_no_server(
    cli: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("backup", "create") == 0
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    capsys.readouterr()
    assert cli("backup", "list") == 0
    assert "manual" in capsys.readouterr().out
    assert cli("backup", "create") == 3


def test_damaged_backups_are_listed_and_nothing_crashes(
    cli: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli("backup", "create") == 0
    (manifest,) = (tmp_path / "backups").rglob("manifest.json")
    target = manifest.parent.parent
    (target / "20200101T000000Z-daily").mkdir()
    (target / "20200102T000000Z-daily").mkdir()
    (target / "20200102T000000Z-daily" / "manifest.json").write_bytes(b"\xff\x00")
    (target / "20200103T000000Z-daily").mkdir()
    (target / "20200103T000000Z-daily" / "manifest.json").write_text("[]")
    (manifest.parent / "record.json").write_text("{")
    capsys.readouterr()
    assert cli("backup", "list") == 0
    assert capsys.readouterr().out.count("damaged") == 3
    assert cli("backup", "list", "--json") == 0
    assert cli("backup", "prune", "--dry-run") == 0
    assert cli("backup", "show", "20200102") == 0


async def dump_with(database: Database, path: Path, *arguments: str) -> Path:
    tools = await tools_of(database)
    options = (f"--file={path}", *arguments)
    with tools.command(target_of(database), "pg_dump", *options) as command:
        assert (await run(command)).returncode == 0
    return path


async def test_the_scripts_files_are_adopted_with_tier_time_and_siblings(
    medianest_db: Database, tmp_path: Path
) -> None:
    stem = "medianest_weekly_20250901_020304"
    original = await dump_with(medianest_db, tmp_path / f"{stem}.dump", "--format=custom")
    await dump_with(medianest_db, tmp_path / f"{stem}_schema.sql", "--schema-only")
    await dump_with(medianest_db, tmp_path / f"{stem}.sql.gz", "--compress=6")
    before = original.read_bytes()
    store = Store(tmp_path / "backups")
    made = await make_backup(medianest_db, tmp_path / "backups")
    adopted = await adopt(store, "home", original, ToolSettings())
    manifest = adopted.manifest
    assert manifest is not None
    assert adopted.tier is Tier.WEEKLY
    assert manifest.taken_at == datetime(2025, 9, 1, 2, 3, 4, tzinfo=UTC)
    assert manifest.database == medianest_db["dbname"]
    assert {f.kind for f in manifest.files} == {FileKind.CUSTOM, FileKind.SCHEMA, FileKind.PLAIN}
    assert [b.id for b in store.backups("home")] == [made.id, adopted.id], "in its place by time"
    assert (await verify(store, adopted, ToolSettings())).verdict is Verdict.PASS
    assert original.read_bytes() == before
    with pytest.raises(ActionRefused, match="already"):
        await adopt(store, "home", original, ToolSettings())
    settings = BackupSettings(directory=store.root)
    drilled = await drill(store, adopted, target_of(medianest_db), settings, ToolSettings())
    assert drilled.drill is not None
    assert drilled.drill.verdict is Verdict.COULD_NOT_VERIFY, "there is nothing to compare with"
    assert any("pg_restore" in c.what and c.verdict == "pass" for c in drilled.drill.checks)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("any.dump", ("--format=custom",)),
        ("any", ("--format=directory",)),
        ("any.tar", ("--format=tar",)),
        ("any.sql", ()),
        ("misnamed.dump", ()),
    ],
)
async def test_any_dump_is_adopted_and_verified(
    medianest_db: Database, tmp_path: Path, name: str, arguments: tuple[str, ...]
) -> None:
    path = await dump_with(medianest_db, tmp_path / name, *arguments)
    store = Store(tmp_path / "backups")
    adopted = await adopt(store, "home", path, ToolSettings(), link=path.is_file())
    assert (await verify(store, adopted, ToolSettings())).verdict is Verdict.PASS


async def test_damaged_dumps_are_refused_or_fail(medianest_db: Database, tmp_path: Path) -> None:
    path = await dump_with(medianest_db, tmp_path / "cut.dump", "--format=custom")
    whole = path.read_bytes()
    store = Store(tmp_path / "backups")
    path.write_bytes(whole[: len(whole) // 2])
    adopted = await adopt(store, "home", path, ToolSettings())
    assert (await verify(store, adopted, ToolSettings())).verdict is Verdict.FAIL
    mangled = tmp_path / "mangled.dump"
    mangled.write_bytes(whole.replace(b"\n", b"\r\n"))
    with pytest.raises(ConsoleError, match=r"lists nothing|not readable"):
        await adopt(store, "home", mangled, ToolSettings())
    assert len(store.backups("home")) == 1


async def test_the_doctor_proves_a_round_trip_and_leaves_nothing(
    medianest_db: Database, tmp_path: Path
) -> None:
    with connected(medianest_db) as connection:
        before = connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
    settings = BackupSettings(directory=tmp_path / "backups", keep_free_mb=0)
    findings = await examine(target_of(medianest_db), settings, ToolSettings())
    assert [finding.check for finding in findings] == [
        "doctor.server",
        "doctor.tools",
        "doctor.directory",
        "doctor.privileges",
        "doctor.round-trip",
    ]
    assert {finding.severity for finding in findings} == {Severity.OK}, findings
    assert "1000 rows" in findings[-1].message
    assert not list((tmp_path / "backups").iterdir())
    with connected(medianest_db) as connection:
        after = connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
    assert after == before


@pytest.mark.slow
async def test_the_doctor_finds_a_role_that_may_not_read(
    medianest_db: Database, limited_role: Callable[[Database], Database], tmp_path: Path
) -> None:
    settings = BackupSettings(directory=tmp_path, keep_free_mb=0)
    findings = await examine(target_of(limited_role(medianest_db)), settings, ToolSettings())
    severities = {finding.check: finding.severity for finding in findings}
    assert severities["doctor.privileges"] is Severity.FAILURE
    assert severities["doctor.round-trip"] is Severity.OK, "tried on a temporary server instead"


def test_the_doctor_exits_by_its_verdict(
    cli: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("doctor", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["check"] == "doctor.server"
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    assert cli("doctor") == 2
    assert "No connection" in capsys.readouterr().out


def test_the_settings_of_backups_are_checked(
    cli: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.yaml"
    for wrong in ("compression: rar", "jobs: 0", "formats: [custom, directory]", "formats: [zip]"):
        settings.write_text(f"backups:\n  {wrong}\n")
        assert cli("backup", "list") == 3
        assert str(settings) in capsys.readouterr().err


def test_two_runs_at_once_from_the_shell_make_one(
    medianest_db: Database, tmp_path: Path, cli: Run
) -> None:
    store = Store(tmp_path / "backups")
    name = medianest_db["dbname"]
    with store.lock(name):
        assert cli("backup", "create") == 3
    assert cli("backup", "create") == 0
    assert len(store.backups(name)) == 1


def test_help_needs_no_database() -> None:
    environment = {**os.environ, "PGPORT": "1"}
    done = subprocess.run(
        ["python", "-m", "console", "backup", "create", "--help"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0
    assert "pre-deployment" in done.stdout


async def test_a_record_is_changed_by_one_writer_at_a_time(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    store = Store(tmp_path)
    await asyncio.gather(*(verify(store, backup, ToolSettings()) for _ in range(4)))
    (found,) = store.backups("home")
    assert len(found.record.proofs) == 4
