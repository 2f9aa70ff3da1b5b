"""Backup work in the background: it outlives who began it, all can watch it, one can stop it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database

from console.backup import background
from console.backup.background import JobStatus
from console.backup.job import Job
from console.backup.manifest import Verdict
from console.backup.policy import BackupSettings
from console.backup.store import Store
from console.errors import ActionRefused
from console.local_server import LocalServer
from console.settings import Settings
from console.target import Target


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(backups=BackupSettings(directory=tmp_path / "backups"))


async def until(
    settings: Settings, name: str, holds: Callable[[JobStatus], bool], seconds: float = 30
) -> JobStatus:
    store = Store(settings.backups.directory)
    async with asyncio.timeout(seconds):
        while True:
            now = background.status(store, name)
            if now is not None and holds(now):
                return now
            await asyncio.sleep(0.05)


async def test_a_backup_is_made_and_verified_by_a_process_of_its_own(
    medianest_db: Database, settings: Settings
) -> None:
    target = Target("media", medianest_db, profile="medianest")
    begun = await background.start(target, settings, Job("create"))
    assert begun.pid != os.getpid()
    ended = await until(settings, "media", lambda job: not job.running)
    assert ended.error is None
    assert ended.backup is not None
    (backup,) = Store(settings.backups.directory).backups("media")
    assert backup.verdict is Verdict.PASS

    await background.start(target, settings, Job("drill", backup=backup.id, place="temporary"))
    ended = await until(settings, "media", lambda job: job.kind == "drill" and not job.running)
    assert ended.error is None
    (drilled,) = Store(settings.backups.directory).backups("media")
    assert drilled.drill is not None
    assert drilled.drill.verdict is Verdict.PASS
    assert any("profile" in check.what for check in drilled.drill.checks)


def slow(database: Database) -> psycopg.Connection[Any]:
    """Keep a dump waiting: somebody holds a table."""
    holder = psycopg.connect(**database)
    holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
    return holder


async def test_a_second_one_is_refused_and_the_first_can_be_stopped(
    medianest_db: Database, settings: Settings
) -> None:
    target = Target("media", medianest_db)
    with slow(medianest_db):
        await background.start(target, settings, Job("create"))
        with pytest.raises(ActionRefused):
            await background.start(target, settings, Job("create"))
        store = Store(settings.backups.directory)
        background.stop(store, "media")
        ended = await until(settings, "media", lambda job: not job.running)
    assert ended.error == "It was stopped."
    assert store.backups("media") == ()
    assert not [path for path in store.directory("media").iterdir() if path.is_dir()]


async def test_a_hangup_does_not_end_it_and_a_kill_is_told(
    medianest_db: Database, settings: Settings
) -> None:
    target = Target("media", medianest_db)
    with slow(medianest_db):
        begun = await background.start(target, settings, Job("create"))
        os.kill(begun.pid, signal.SIGHUP)
        await asyncio.sleep(0.3)
        assert (await until(settings, "media", lambda job: True)).running
        os.kill(begun.pid, signal.SIGKILL)
        ended = await until(settings, "media", lambda job: not job.running)
    assert ended.was_killed


async def test_a_failure_is_kept_in_words_without_the_password(
    empty_db: Database, settings: Settings
) -> None:
    target = Target("media", {**empty_db, "password": "s3cret-word"})
    await background.start(target, settings, Job("create"))
    ended = await until(settings, "media", lambda job: not job.running)
    assert ended.error is not None
    assert "refused the password" in ended.error
    for path in Store(settings.backups.directory).directory("media").iterdir():
        assert "s3cret-word" not in path.read_text()


async def test_nothing_secret_is_in_the_arguments_while_it_runs(
    medianest_db: Database, settings: Settings, server: LocalServer
) -> None:
    password = server.directory.password("postgres")
    assert password is not None
    target = Target("media", {**medianest_db, "password": password})
    with slow(medianest_db):
        begun = await background.start(target, settings, Job("create"))
        line = Path(f"/proc/{begun.pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{begun.pid}/environ").read_bytes()
        background.stop(Store(settings.backups.directory), "media")
        await until(settings, "media", lambda job: not job.running)
    assert password.encode() not in line
    assert password.encode() not in environment


def test_stopping_nothing_says_so(settings: Settings) -> None:
    with pytest.raises(ActionRefused):
        background.stop(Store(settings.backups.directory), "media")


def test_never_begun_is_no_status(settings: Settings) -> None:
    assert background.status(Store(settings.backups.directory), "media") is None
