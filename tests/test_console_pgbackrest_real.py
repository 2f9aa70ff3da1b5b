"""pgBackRest itself: a real repository of a real PostgreSQL 15, read, driven, broken and proven."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backrests import Backrests, backrest_server

from console.backup.job import Job, carry_out
from console.backup.manifest import Tier
from console.backup.policy import BackupSettings
from console.cli import main
from console.errors import CommandFailed, ExitCode
from console.pgbackrest.info import read_stanza
from console.pgbackrest.verify import verify
from screens.app import ConsoleApp
from screens.backups import BackupsTab
from screens.widgets.dialogs import DetailDialog

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def server() -> Iterator[Backrests]:
    """A server with a stanza and one full backup."""
    with backrest_server(15) as made:
        made.pgbackrest("stanza-create")
        made.sql("CREATE TABLE rows AS SELECT g AS id, md5(g::text) FROM generate_series(1, 9) g")
        made.pgbackrest("backup", "--type=full")
        yield made


@pytest.fixture
def backrests(server: Backrests) -> Iterator[Backrests]:
    """The same, with its repository as it was when the test ends."""
    kept = server.root / "repo.kept"
    subprocess.run(["cp", "-a", server.repository, kept], check=True)
    yield server
    shutil.rmtree(server.repository)
    kept.rename(server.repository)


def run(backrests: Backrests, *arguments: str) -> int:
    return main(["pgbackrest", *arguments, "--settings", str(backrests.settings_file),
                 "--target", "home"])  # fmt: skip


def status(backrests: Backrests, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    run(backrests, "status", "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def messages(found: dict[str, Any]) -> str:
    return " ".join(finding["message"] for finding in found["findings"])


def test_a_backup_is_made_checked_verified_and_told(
    backrests: Backrests, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(backrests, "status") == ExitCode.WARNINGS
    assert "No backup was verified from here." in capsys.readouterr().out
    assert run(backrests, "check") == ExitCode.OK
    said = capsys.readouterr()
    assert "WAL reaches its archive" in said.out
    assert "successfully archived to" in said.err
    assert run(backrests, "backup", "--type", "diff") == ExitCode.OK
    said = capsys.readouterr()
    assert "new backup label = " in said.err
    assert "copied 100%" in said.err
    assert " diff " in said.out
    assert run(backrests, "verify") == ExitCode.OK
    assert "pass: the WAL that it cannot start without" in capsys.readouterr().out
    assert run(backrests, "status") == ExitCode.OK
    assert capsys.readouterr().out.startswith("The stanza home can be restored")
    found = status(backrests, capsys)
    assert found["wal_behind_segments"] == 0
    assert [backup["kind"] for backup in found["backups"]] == ["diff", "full"]
    assert {backup["verdict"] for backup in found["backups"]} == {"pass"}
    # Made by the account that serves the archive, whoever runs the console.
    owners = {path.stat().st_uid for path in backrests.repository.rglob("*")}
    assert len(owners) == 1
    assert run(backrests, "backup", "--read-only") == ExitCode.UNKNOWN


def test_a_damaged_file_is_found_though_verify_ends_well(
    backrests: Backrests, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = backrests.damage("backup/home/*F/pg_data/base/**/*.gz")
    assert run(backrests, "verify", "--json") == ExitCode.FAILURES
    (backup,) = json.loads(capsys.readouterr().out)
    assert backup["verdict"] == "fail"
    assert damaged.name in json.dumps(backup["verification"])
    found = status(backrests, capsys)
    assert found["verdict"] == "failure"
    assert "is damaged: every file against its checksum" in messages(found)


def test_wal_that_a_backup_needs_and_that_is_gone_fails_its_proof(
    backrests: Backrests, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = json.loads(backrests.pgbackrest("info", "--output=json"))[0]["backup"][0]["archive"]
    for path in backrests.repository.glob(f"archive/home/*/*/{needed['start']}-*"):
        path.unlink()
    assert run(backrests, "verify") == ExitCode.FAILURES
    assert "is not whole in the archive" in capsys.readouterr().out


async def test_what_cannot_be_read_is_not_known_and_proves_nothing(backrests: Backrests) -> None:
    stanza = await read_stanza(backrests.backrest)
    archive = backrests.repository / "archive"
    (backrests.repository / "backup").rename(backrests.repository / "elsewhere")
    archive.rename(backrests.repository / "archive.elsewhere")
    with pytest.raises(CommandFailed, match="could verify nothing: No usable"):
        await verify(backrests.backrest, "home", stanza, lambda line: None)


def test_an_unreadable_repository_and_a_wrong_stanza_are_told_apart(
    backrests: Backrests, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, backups = backrests.settings_file, backrests.repository / "backup"
    whole, mode = settings.read_text(), backups.stat().st_mode
    own = backrests.settings.pgbackrest["home"].user
    # Root may read everything, and the account it lends pgBackRest to is another one then.
    settings.write_text(whole.replace(f"user: {own}", "user: daemon"))
    backups.chmod(0o700 if os.geteuid() == 0 else 0)
    try:
        assert run(backrests, "status") == ExitCode.UNKNOWN
        assert "Permission denied" in capsys.readouterr().out
    finally:
        backups.chmod(mode)
    settings.write_text(whole.replace("stanza: home", "stanza: nope"))
    try:
        assert run(backrests, "status") == ExitCode.FAILURES
        assert "knows no stanza nope" in capsys.readouterr().out
        assert run(backrests, "check") == ExitCode.FAILURES
        assert "check failed: check command requires option" in capsys.readouterr().err
    finally:
        settings.write_text(whole)


def test_an_archiver_that_fails_is_told_and_so_is_the_check_of_it(
    backrests: Backrests, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = backrests.sql("SHOW archive_command")[0]
    try:
        backrests.archive_with("/bin/false pgbackrest")
        backrests.sql("CREATE TABLE more(); DROP TABLE more", "SELECT pg_switch_wal()")
        while not backrests.sql("SELECT failed_count FROM pg_stat_archiver")[0][0]:
            time.sleep(0.1)
        assert "archive_command fails" in messages(status(backrests, capsys))
        assert run(backrests, "check") == ExitCode.FAILURES
        said = capsys.readouterr().err
        assert "was not archived before" in said
        assert "archive_command" in said
    finally:
        backrests.archive_with(command)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ended_in_the_middle_it_leaves_no_backup_and_no_lock(
    backrests: Backrests, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """Killed, the console can say nothing; the kernel has pgBackRest end with it."""
    backrests.sql(
        "CREATE TABLE large AS SELECT g AS id, md5(g::text) || md5((g*7)::text) AS words"
        " FROM generate_series(1, 250000) g"
    )
    before = status(backrests, capsys)["backups"]
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "pgbackrest", "backup", "--type", "full",
         "--settings", str(backrests.settings_file), "--target", "home"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("copied "):
            process.send_signal(number)
            break
    rest = process.stderr.read()
    process.stderr.close()
    if number is signal.SIGTERM:
        assert process.wait() == ExitCode.INTERRUPTED
        assert "Interrupted." in rest
    else:
        assert process.wait() == -number
    found = status(backrests, capsys)
    while found["running"] and number is signal.SIGKILL:
        found = status(backrests, capsys)
    assert found["backups"] == before
    assert found["running"] is False
    backrests.sql("DROP TABLE large")
    if number is signal.SIGTERM:
        assert run(backrests, "backup", "--type", "full") == ExitCode.OK


async def test_its_backups_stand_among_the_dumps_and_keys_that_do_not_apply_say_so(
    backrests: Backrests, tmp_path: Path
) -> None:
    store = replace(backrests.settings, backups=BackupSettings(directory=tmp_path / "backups"))
    dump = await carry_out(
        Job("create", Tier.DAILY), backrests.target, store, lambda progress: None
    )
    app = ConsoleApp(backrests.target, store)
    said: list[str] = []
    async with app.run_test(size=(100, 30)) as pilot:
        app.say = lambda line, **_: said.append(line)  # type: ignore[method-assign]
        await pilot.press("8")
        tab = app.active_tab
        assert isinstance(tab, BackupsTab)
        while tab.table.row_count < 2:
            await pilot.pause(0.1)
        shown = [str(cell) for row in range(2) for cell in tab.table.get_row_at(row)]
        assert "physical, full" in shown
        assert "daily" in shown
        assert tab.table.selected is not None
        assert tab.table.selected.id == dump.id
        await pilot.press("down", "v", "T", "H")
        assert [line.split(": ")[0] for line in said] == ["This backup is pgBackRest's"] * 3
        await pilot.press("enter")
        while not isinstance(app.screen, DetailDialog):
            await pilot.pause(0.1)


def test_both_kinds_are_listed(backrests: Backrests, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--settings", str(backrests.settings_file), "--target", "home"]
    assert main(["backup", "list", *common]) == ExitCode.OK
    said = capsys.readouterr()
    assert "physical, full" in said.out
    assert "pgBackRest: no backup was verified from here." in said.err
    assert "no backup at all" not in said.err
    assert main(["backup", "list", "--json", *common]) == ExitCode.OK
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["tool"], entry["verdict"]) == ("pgBackRest", "could not verify")
    assert main(["backup", "list", "--plain", *common]) == ExitCode.OK
    assert "of pgBackRest: physical, full, made" in capsys.readouterr().out


def test_a_server_newer_than_pgbackrest_is_refused_in_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with backrest_server(18) as newer:
        assert run(newer, "check") == ExitCode.FAILURES
        said = capsys.readouterr().err.splitlines()
        assert "Traceback" not in " ".join(said)
        assert "unexpected control version = 1800" in said[-2]
        assert said[-1].startswith("This pgBackRest does not know the server's version")
