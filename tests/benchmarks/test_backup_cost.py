"""What proof costs: backup, verification and restore beside the bare tools on the same data."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from backups import settings_for, target_of, tools_of
from conftest import Database, run_sql
from measuring import Pairs, Sample, by_turns, record, seconds
from psycopg import sql
from restores import Restoring

from console.backup.dump import create_backup
from console.backup.load import LoadOptions, LoadProgress, load
from console.backup.store import Backup, Store
from console.backup.verify import examine
from console.demo import sample
from console.demo.migrations import apply_migrations
from console.local_server import LocalServer
from console.process import Command, run
from console.target import Target
from console.tools import Tools, ToolSettings, with_database

pytestmark = pytest.mark.benchmark

SECTION = "Backup and restore"
ROUNDS = 5
LONG_ROUNDS = 3
JOBS = 2
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def medium(server18: LocalServer) -> Iterator[Database]:
    """The demo's data at `--rows medium`, about 200,000 rows."""
    yield from _filled(server18, "medium")


@pytest.fixture(scope="module")
def large(server18: LocalServer) -> Iterator[Database]:
    """The demo's data at `--rows large`, about 5,000,000 rows."""
    yield from _filled(server18, "large")


def _filled(server18: LocalServer, rows: str) -> Iterator[Database]:
    name = f"benchmark_{rows}"
    identifier = sql.Identifier(name)
    admin = {**server18.conninfo("postgres")}
    run_sql(admin, sql.SQL("CREATE DATABASE {}").format(identifier))
    database: Database = {**server18.conninfo(name)}
    with psycopg.connect(**database, autocommit=True) as connection:
        apply_migrations(connection)
        sample.fill(connection, rows)
    yield database
    run_sql(admin, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="console-benchmark-") as directory:
        yield Path(directory)


def _compared(measured: str, pairs: Pairs, at_most: float | None) -> bool:
    return record(
        SECTION, measured, pairs.ratio.median, at_most,
        ours=pairs.ours.words("s"), beside=pairs.theirs.words("s"),
    )  # fmt: skip


async def _backups(database: Database, directory: Path, rounds: int) -> Pairs:
    """The console's backup, and pg_dump alone with the same options."""
    target, tools = target_of(database), await tools_of(database)
    settings = settings_for(directory, formats=("custom",))

    async def ours() -> float:
        return await seconds(create_backup(target, Store(directory), settings, tools))

    async def theirs() -> float:
        arguments = ("--format=custom", "--compress=9", "--no-password")
        with tools.command(target, "pg_dump", *arguments, f"--file={directory}.bare") as command:
            return await seconds(run(command))

    return await by_turns(rounds, ours, theirs)


async def _verifications(backup: Backup, tools: Tools) -> Pairs:
    """The console's verification, and one read of the archive with its hash."""
    archive = backup.archive_path
    assert archive is not None

    async def ours() -> float:
        return await seconds(examine(backup, ToolSettings()))

    async def theirs() -> float:
        with tools.command(None, "pg_restore", "--file=/dev/null", str(archive)) as command:
            read = await seconds(run(command))
        return read + await seconds(run(Command(("sha256sum", str(archive)))))

    return await by_turns(ROUNDS, ours, theirs)


async def test_backup_against_pg_dump(medium: Database, place: Path) -> None:
    pairs = await _backups(medium, place / "backups", ROUNDS)
    assert _compared("backup against pg_dump with its options", pairs, 1.03)


@pytest.fixture(scope="module")
def made(medium: Database, place: Path) -> Backup:
    """A backup of it as the console makes one by default."""
    restoring = Restoring(medium, place / "made")
    return asyncio.run(restoring.backup())


async def test_verification_against_one_read(medium: Database, made: Backup) -> None:
    pairs = await _verifications(made, await tools_of(medium))
    assert _compared("verification against pg_restore to /dev/null and sha256sum", pairs, 1.0)


async def test_backup_and_verification_of_five_million_rows(large: Database, place: Path) -> None:
    """Where what is fixed weighs nothing."""
    store = Store(place / "millions")
    pairs = await _backups(large, store.root, LONG_ROUNDS)
    met = [_compared("backup of 5,000,000 rows against pg_dump", pairs, 1.03)]
    [*_others, backup] = store.backups(target_of(large).name)
    pairs = await _verifications(backup, await tools_of(large))
    met.append(_compared("verification of 5,000,000 rows against one read of it", pairs, 1.0))
    assert all(met)


class Loads:
    """The archive loaded by pg_restore alone, and by the console, each into a database anew."""

    def __init__(self, database: Database, tools: Tools, archive: Path) -> None:
        self.database, self.tools, self.archive = database, tools, archive
        self.analyzing: list[float] = []
        """Of each of ours, how long ANALYZE took."""

    def _fresh(self) -> Target:
        name = f"benchmark_load_{next(_numbers)}"
        self._admin(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        self._admin("CHECKPOINT")
        return with_database(target_of(self.database), name)

    def _drop(self, target: Target) -> None:
        self._admin(sql.SQL("DROP DATABASE {}").format(sql.Identifier(target.dbname)))

    def _admin(self, statement: LiteralString | sql.Composed) -> None:
        run_sql({**self.database, "dbname": "postgres"}, statement)

    async def ours(self) -> float:
        """Seconds until all is loaded; what ANALYZE takes after it is kept apart."""
        target, analyzing_from = self._fresh(), 0.0

        def report(progress: LoadProgress) -> None:
            nonlocal analyzing_from
            if progress.phase == "analyzing":
                analyzing_from = time.perf_counter()

        began = time.perf_counter()
        loaded = await load(self.tools, target, self.archive, LoadOptions(jobs=JOBS), report)
        loaded.require_good()
        self.analyzing.append(time.perf_counter() - analyzing_from)
        self._drop(target)
        return analyzing_from - began

    async def theirs(self) -> float:
        target = self._fresh()
        arguments = (f"--dbname={target.dbname}", f"--jobs={JOBS}", "--no-password")
        with self.tools.command(target, "pg_restore", *arguments, str(self.archive)) as command:
            took = await seconds(run(command))
        self._drop(target)
        return took


async def test_loading_against_pg_restore(medium: Database, made: Backup) -> None:
    assert made.archive_path is not None
    loads = Loads(medium, await tools_of(medium), made.archive_path)
    pairs = await by_turns(ROUNDS, loads.ours, loads.theirs)
    analyzing = Sample(tuple(loads.analyzing[1:]))
    record(SECTION, "ANALYZE after it", analyzing.median, None, unit="s", ours=analyzing.words("s"))
    assert _compared(f"load against pg_restore --jobs={JOBS}", pairs, 1.05)


async def test_loading_five_million_rows_against_pg_restore(large: Database, place: Path) -> None:
    """Where what is fixed weighs nothing; the archive is pg_dump's own, at its quickest."""
    tools, archive = await tools_of(large), place / "large"
    arguments = ("--format=custom", "--compress=1", "--no-password", f"--file={archive}")
    with tools.command(target_of(large), "pg_dump", *arguments) as command:
        await run(command)
    loads = Loads(large, tools, archive)
    pairs = await by_turns(3, loads.ours, loads.theirs)
    assert _compared(f"load of 5,000,000 rows against pg_restore --jobs={JOBS}", pairs, 1.05)


async def test_the_whole_restore_against_pg_restore(
    medium: Database, made: Backup, place: Path
) -> None:
    """With its own process, the database made, ANALYZE, and every row and object compared."""
    assert made.archive_path is not None
    loads = Loads(medium, await tools_of(medium), made.archive_path)
    restoring = Restoring(medium, place / "made")
    comparing = []

    async def ours() -> float:
        into = f"benchmark_whole_{next(_numbers)}"
        took = await seconds(_restored(into))
        loads._drop(with_database(restoring.target, into))
        return took

    async def _restored(into: str) -> None:
        status = await restoring.restore(into=into, jobs=JOBS)
        assert not status.state.failure, status.state.failure
        comparing.append(status.state.seconds["validate"])

    pairs = await by_turns(3, ours, loads.theirs)
    compared = Sample(tuple(comparing[1:]))
    _compared(f"whole restore against pg_restore --jobs={JOBS} alone", pairs, None)
    record(SECTION, "of it, comparing", compared.median, None, unit="s", ours=compared.words("s"))
