"""Dumps of our own beside pgBackRest's physical backups: made, proven and had back, by turns."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backrests import Backrests, backrest_server
from backups import settings_for
from conftest import run_sql
from measuring import Pairs, by_turns, record, seconds

from console.backup.dump import create_backup
from console.backup.load import LoadOptions, load
from console.backup.store import Backup, Store
from console.backup.verify import examine
from console.demo import sample
from console.demo.migrations import apply_migrations
from console.pgbackrest.info import read_stanza
from console.pgbackrest.restore import restore_beside
from console.pgbackrest.verify import verify
from console.pitr.side import drop
from console.pitr.targets import Wanted
from console.target import Target
from console.tools import Tools, ToolSettings, find_tools, with_database

pytestmark = pytest.mark.benchmark

SECTION = "Backup and restore"
ROUNDS = 3
JOBS = 2
_numbers = itertools.count(1)


def _quiet(line: str) -> None:
    """Nobody watches."""


@dataclass
class Both:
    """The demo's data at `--rows medium` on PostgreSQL 15, in the hands of both."""

    backrests: Backrests
    tools: Tools
    place: Path

    @property
    def target(self) -> Target:
        return self.backrests.target

    async def dump(self) -> Backup:
        settings = settings_for(self.place / "backups", formats=("custom",))
        return await create_backup(self.target, Store(settings.directory), settings, self.tools)

    async def copy(self, kind: str) -> None:
        """Only the last full backup stays, so that each finds the repository alike."""
        options = (f"--type={kind}", "--repo1-retention-full=1", "--archive-timeout=300")
        await self.backrests.backrest.drive("backup", *options, tell=_quiet)


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with backrest_server(15) as made:
        database: dict[str, Any] = dict(made.target.parameters)
        # First, as archive_command fails without it, and is tried again only after a minute then.
        made.pgbackrest("stanza-create")
        with psycopg.connect(**database, autocommit=True) as connection:
            apply_migrations(connection)
            sample.fill(connection, "medium")
        tools = asyncio.run(find_tools(15, target=made.target))
        place = made.root / "ours"
        yield Both(made, tools, place)
        shutil.rmtree(place, ignore_errors=True)


def _told(measured: str, pairs: Pairs) -> None:
    record(
        SECTION, measured, pairs.ratio.median, None,
        ours=pairs.ours.words("s"), beside=pairs.theirs.words("s"),
    )  # fmt: skip


async def test_backup_against_pgbackrest(both: Both) -> None:
    async def ours() -> float:
        return await seconds(both.dump())

    async def full() -> float:
        return await seconds(both.copy("full"))

    async def incremental() -> float:
        return await seconds(both.copy("incr"))

    _told("backup of the demo against pgBackRest's full one", await by_turns(ROUNDS, ours, full))
    pairs = await by_turns(ROUNDS, ours, incremental)
    _told("backup of the demo against pgBackRest's incremental one", pairs)
    newest = (await read_stanza(both.backrests.backrest)).newest("full")
    manifest = (await both.dump()).manifest
    assert newest is not None
    assert newest.repo_bytes is not None
    assert manifest is not None
    record(
        SECTION, "bytes of the dump against pgBackRest's full backup",
        manifest.bytes / newest.repo_bytes, None,
        ours=f"{manifest.bytes / 1e6:.1f} MB", beside=f"{newest.repo_bytes / 1e6:.1f} MB",
    )  # fmt: skip


async def test_verification_against_pgbackrest(both: Both) -> None:
    """All that each holds: one dump; one full backup with its WAL."""
    dump = await both.dump()
    await both.copy("full")
    stanza = await read_stanza(both.backrests.backrest)

    async def ours() -> float:
        return await seconds(examine(dump, ToolSettings()))

    async def theirs() -> float:
        return await seconds(verify(both.backrests.backrest, "home", stanza, _quiet))

    pairs = await by_turns(ROUNDS, ours, theirs)
    _told("verification of it against pgBackRest's verify", pairs)


async def test_restore_against_pgbackrest(both: Both) -> None:
    """Until it can be read: loaded into a database, or copied and recovered beside."""
    dump = await both.dump()
    await both.copy("full")
    archive = dump.archive_path
    assert archive is not None

    async def ours() -> float:
        name = f"loaded_{next(_numbers)}"
        database: dict[str, Any] = dict(both.target.parameters)
        run_sql(database, f"CREATE DATABASE {name} TEMPLATE template0")
        into = with_database(both.target, name)
        took = await seconds(load(both.tools, into, archive, LoadOptions(jobs=JOBS)))
        run_sql(database, f"DROP DATABASE {name}")
        return took

    async def theirs() -> float:
        copy = both.backrests.root / f"copy-{next(_numbers)}"
        restored = await restore_beside(
            both.backrests.backrest, both.target, both.backrests.settings, copy,
            Wanted("latest"), "", _quiet,
        )  # fmt: skip
        drop(restored.side)
        return restored.seconds

    pairs = await by_turns(ROUNDS, ours, theirs)
    _told(f"restore with --jobs={JOBS} against pgBackRest's beside", pairs)
