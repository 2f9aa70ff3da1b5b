"""Killed, out of space, in each other's way: nothing half-published, and the next run converges."""
# ruff: noqa: ASYNC220, ASYNC221

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from backups import (
    PASSWORD,
    children_named,
    connected,
    fill,
    left_behind,
    make_backup,
    settings_for,
    small_disk,
    target_of,
    until,
)

from console.backup.dump import Progress
from console.backup.manifest import Tier, Verdict
from console.backup.store import Store
from console.backup.verify import verify
from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.tools import ToolSettings

Database = dict[str, Any]
ROOT = Path(__file__).parent.parent


def slow(number: signal.Signals) -> Any:
    return pytest.param(number, marks=pytest.mark.slow)


async def converges(database: Database, root: Path) -> None:
    """The next run cleans up, publishes, and what it made is good."""
    backup = await make_backup(database, root)
    assert (await verify(Store(root), backup, ToolSettings())).verdict is Verdict.PASS
    assert not left_behind(root)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGKILL, *(slow(number) for number in (signal.SIGTERM, signal.SIGSEGV))]
)
async def test_pg_dump_killed_while_it_writes_publishes_nothing(
    medianest_db: Database, tmp_path: Path, number: signal.Signals
) -> None:
    fill(medianest_db)
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.done_bytes > 0 and not killed:
            for pid in children_named("pg_dump"):
                os.kill(pid, number)
                killed.append(pid)

    with pytest.raises(CommandFailed):
        await make_backup(medianest_db, tmp_path, report=kill)
    assert killed
    assert not left_behind(tmp_path)
    assert not Store(tmp_path).backups()
    await converges(medianest_db, tmp_path)


@pytest.mark.slow
async def test_the_servers_process_killed_while_it_dumps_publishes_nothing(
    medianest_db: Database, tmp_path: Path
) -> None:
    fill(medianest_db)

    def cut(progress: Progress) -> None:
        if progress.done_bytes > 0:
            with connected(medianest_db) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    with pytest.raises(ConsoleError):
        await make_backup(medianest_db, tmp_path, report=cut)
    assert not left_behind(tmp_path)
    await converges(medianest_db, tmp_path)


def command_line(
    database: Database, root: Path, *arguments: str
) -> tuple[list[str], dict[str, str]]:
    """The program on a test database, reached with a password in DATABASE_URL."""
    settings = root.parent / "settings.yaml"
    settings.write_text(f"backups:\n  directory: {root}\n  keep_free_mb: 0\n")
    address = f"postgresql://medianest:{PASSWORD}@127.0.0.1:{database['port']}/{database['dbname']}"
    environment = {**os.environ, "DATABASE_URL": address}
    command = [sys.executable, "-m", "console", "--settings", str(settings), *arguments]
    return command, environment


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


@pytest.mark.slow
async def test_the_console_killed_leaves_no_process_and_nothing_published(
    medianest_db: Database, tmp_path: Path
) -> None:
    fill(medianest_db, 300_000)
    own(medianest_db)
    root = tmp_path / "backups"
    command, environment = command_line(medianest_db, root, "backup", "create")
    ours = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    wait_for(lambda: any(p.stat().st_size for p in root.rglob("archive.dump")))
    (dump,) = children_named("pg_dump", ours.pid)
    ours.kill()
    ours.communicate()
    wait_for(lambda: not Path(f"/proc/{dump}/exe").exists())
    store = Store(root)
    (name,) = (path.name for path in store.targets())
    assert not store.backups(name)
    assert left_behind(root)
    assert store.running(name) is None, "the kernel let go of the lock"
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not left_behind(root)
    assert [backup.verdict for backup in store.backups(name)] == [Verdict.PASS]


def own(database: Database) -> None:
    with connected(database) as connection:
        connection.execute("ALTER TABLE public.ballast OWNER TO medianest")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(slow(number) for number in (signal.SIGHUP, signal.SIGINT))]
)
async def test_the_console_told_to_end_cleans_up_and_says_so(
    medianest_db: Database, tmp_path: Path, number: signal.Signals
) -> None:
    fill(medianest_db, 300_000)
    own(medianest_db)
    root = tmp_path / "backups"
    command, environment = command_line(medianest_db, root, "backup", "create")
    ours = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    wait_for(lambda: any(p.stat().st_size for p in root.rglob("archive.dump")))
    ours.send_signal(number)
    _, said = ours.communicate(timeout=15)
    assert ours.returncode == 130
    assert b"Interrupted" in said
    assert b"Traceback" not in said
    assert not left_behind(root)


@pytest.mark.slow
async def test_no_password_is_seen_anywhere_while_it_runs_or_after(
    medianest_db: Database, tmp_path: Path
) -> None:
    fill(medianest_db)
    own(medianest_db)
    root = tmp_path / "backups"
    command, environment = command_line(medianest_db, root, "backup", "create", "--note", "n")
    ours = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    seen: set[bytes] = set()
    while ours.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes())
            except OSError:
                continue
        await asyncio.sleep(0.005)
    output, said = ours.communicate()
    assert ours.returncode == 0, said
    assert any(b"pg_dump" in line for line in seen)
    assert not [line for line in seen if PASSWORD.encode() in line]
    assert PASSWORD.encode() not in output + said
    for path in root.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes(), path


async def test_a_wrong_password_is_not_repeated(medianest_db: Database, tmp_path: Path) -> None:
    command, environment = command_line(medianest_db, tmp_path / "b", "backup", "create")
    environment["DATABASE_URL"] = environment["DATABASE_URL"].replace(PASSWORD, "wr0ng-one")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 3
    assert "refused the password" in done.stderr
    assert "wr0ng-one" not in done.stderr + done.stdout


async def test_a_full_disk_is_told_and_older_backups_stay(medianest_db: Database) -> None:
    with small_disk(8) as root:
        first = await make_backup(medianest_db, root)
        fill(medianest_db)
        with connected(medianest_db) as connection:
            connection.execute("VACUUM public.ballast")
        (root / "filler").write_bytes(bytes(5_000_000))
        with pytest.raises(CommandFailed, match=r"No space|only .* left") as caught:
            await make_backup(medianest_db, root)
        assert "disk" in caught.value.hint
        assert not left_behind(root)
        assert [backup.id for backup in Store(root).backups()] == [first.id]
        (root / "filler").unlink()
        (verified,) = [await verify(Store(root), first, ToolSettings())]
        assert verified.verdict is Verdict.PASS


async def test_a_disk_that_is_too_small_is_refused_before_it_begins(
    medianest_db: Database,
) -> None:
    with small_disk(4) as root:
        with pytest.raises(ActionRefused, match="needs about"):
            await make_backup(medianest_db, root, keep_free_mb=100)
        assert not left_behind(root)


async def test_it_stops_before_the_disk_is_full(
    medianest_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.backup.dump._WATCH_SECONDS", 0.02)
    fill(medianest_db)
    with small_disk(60) as root:

        def eat(progress: Progress) -> None:
            if progress.done_bytes > 0:
                (root / "filler").write_bytes(bytes(40_000_000))

        with pytest.raises(CommandFailed, match="was stopped"):
            await make_backup(medianest_db, root, report=eat, keep_free_mb=30)
        assert not left_behind(root)


async def test_a_disk_that_cannot_be_written_is_told(medianest_db: Database) -> None:
    with small_disk(4) as root:
        subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
        with pytest.raises(CommandFailed, match="cannot be used"):
            await make_backup(medianest_db, root)


async def test_a_file_where_the_directory_should_be_is_told(
    medianest_db: Database, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(CommandFailed, match="taken"):
        await make_backup(medianest_db, tmp_path / "taken")


async def test_a_second_run_at_the_same_time_is_refused_and_names_the_first(
    medianest_db: Database, tmp_path: Path
) -> None:
    fill(medianest_db)
    seen: list[Progress] = []
    first = asyncio.create_task(make_backup(medianest_db, tmp_path, report=seen.append))
    assert await until(lambda: any(progress.done_bytes for progress in seen))
    assert Store(tmp_path).running("home") == os.getpid()
    with pytest.raises(ActionRefused, match=f"pid {os.getpid()}"):
        await make_backup(medianest_db, tmp_path)
    backup = await first
    assert [found.id for found in Store(tmp_path).backups()] == [backup.id]


async def test_left_overs_are_swept_and_strangers_files_are_not(
    medianest_db: Database, tmp_path: Path
) -> None:
    directory = Store(tmp_path).claim("home")
    (directory / ".20250101T000000Z-daily.partial").mkdir()
    (directory / ".20250101T000000Z-daily.partial" / "archive.dump").write_bytes(b"half")
    (directory / ".20240101T000000Z-daily.removing").mkdir()
    (directory / "notes.txt").write_text("mine")
    await make_backup(medianest_db, tmp_path)
    assert not left_behind(tmp_path)
    assert (directory / "notes.txt").read_text() == "mine"


async def test_a_row_that_is_lost_on_the_way_into_plain_sql_is_found(
    medianest_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The formats are compared with the counts while they are made, not trusted."""
    from console.backup.archive import SqlReader

    def forgetful(reader: SqlReader, piece: bytes) -> None:
        original(reader, piece)
        if ("public", "users") in reader.rows:
            reader.rows["public", "users"] = 1

    original = SqlReader.feed
    monkeypatch.setattr(SqlReader, "feed", forgetful)
    with pytest.raises(CommandFailed, match=r"public\.users has 1 of"):
        await make_backup(medianest_db, tmp_path, formats=("custom", "plain"))
    assert not left_behind(tmp_path)


async def test_the_tier_and_settings_reach_the_manifest(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path, tier=Tier.PRE_DEPLOYMENT)
    assert backup.tier is Tier.PRE_DEPLOYMENT
    assert settings_for(tmp_path).directory == tmp_path
    assert target_of(medianest_db).name == "home"
