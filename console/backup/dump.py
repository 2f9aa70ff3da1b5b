"""Make one backup: one snapshot, one archive, everything else derived from it or read in it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from console.backup import derive, space
from console.backup.archive import read_contents, sha256_of
from console.backup.manifest import (
    OBJECTS,
    SCHEMA_VERSION,
    BackupFile,
    FileKind,
    Manifest,
    TableRows,
    Tier,
    write_manifest,
    write_objects,
)
from console.backup.policy import BackupSettings
from console.backup.snapshot import Facts, count_rows, end_sessions, held_snapshot, require_readable
from console.backup.store import Backup, Store, explained, load
from console.errors import ActionRefused, CommandFailed
from console.process import first_error, run
from console.session import Connection, explain
from console.target import Target
from console.tools import Tools

_TABLE_LINE = re.compile(r'dumping contents of table "(.+)"$')
_LOCK_WAIT_MS = 30_000
_WATCH_SECONDS = 0.25
_GB = 1024**3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, for a person to watch."""

    phase: str
    done_bytes: int = 0
    expected_bytes: int | None = None
    """An estimate from the last backup or the database's size."""
    table: str = ""


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """A report that nobody reads."""


async def create_backup(
    target: Target,
    store: Store,
    settings: BackupSettings,
    tools: Tools,
    *,
    tier: Tier = Tier.MANUAL,
    note: str = "",
    report: Report = silent,
) -> Backup:
    """Back the target up and publish it, not yet verified. Cancelling it leaves nothing behind.

    Raises ConsoleError kinds: ActionRefused when another run is at work on the target or the disk
    is too small, CommandFailed when pg_dump fails, PrivilegeMissing when a table is closed.
    """
    compression_argument(settings.compression, tools)
    with store.lock(target.name):
        store.sweep(target.name)
        identity = store.new_id(target.name, tier)
        making = _Making(target, store, settings, tools, report)
        with store.partial(target.name, identity) as directory:
            await making.make(directory, identity, tier, note)
        return load(store.directory(target.name) / identity)


@dataclass(slots=True)
class _Making:
    target: Target
    store: Store
    settings: BackupSettings
    tools: Tools
    report: Report
    table: str = ""

    async def make(self, directory: Path, identity: str, tier: Tier, note: str) -> None:
        began, started_at = time.monotonic(), datetime.now(UTC)
        self.report(Progress("reading the catalog"))
        facts, tables = await self._dump(directory)
        archive = _archive_path(directory, self.settings)
        try:
            async with asyncio.TaskGroup() as tasks:
                hashing = tasks.create_task(asyncio.to_thread(self._archive_files, directory))
                listing = tasks.create_task(read_contents(self.tools, archive))
                deriving = tasks.create_task(self._derive(directory, archive, facts, tables))
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        files, contents, (derived, warnings) = (
            hashing.result(),
            listing.result(),
            deriving.result(),
        )
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            id=identity,
            tier=tier,
            note=note,
            target=self.target.name,
            database=facts.properties.name,
            place=self.target.place,
            origin="created",
            started_at=started_at,
            taken_at=facts.moment.taken_at,
            seconds=round(time.monotonic() - began, 3),
            server_version=facts.moment.server_version,
            server_version_number=facts.moment.server_version_number,
            tools_version=self.tools.version,
            wal_position=facts.moment.wal_position,
            in_recovery=facts.moment.in_recovery,
            compression=self.settings.compression,
            database_bytes=facts.moment.database_bytes,
            files=(*files, *derived),
            toc_entries=len(contents.entries),
            data_entries=contents.data_entries,
            tables=tuple(tables),
            properties=facts.properties,
            settings=facts.settings,
            extensions=facts.extensions,
            roles=facts.roles,
            migration=facts.migration,
            warnings=warnings,
        )
        _require_whole(manifest)
        with explained(directory):
            write_manifest(directory, manifest)

    async def _dump(self, directory: Path) -> tuple[Facts, list[TableRows]]:
        """The archive, and beside it the counts, in one snapshot that is let go afterwards."""
        async with held_snapshot(self.target) as (connection, facts):
            require_readable(facts, self.target.user)
            expected = space.expected_bytes(
                facts.moment.database_bytes, self.store.backups(self.target.name), self.settings
            )
            space.require(directory, expected, self.settings.keep_free_mb)
            try:
                async with asyncio.TaskGroup() as tasks:
                    counting = tasks.create_task(self._count(connection, facts))
                    dumping = tasks.create_task(self._run_pg_dump(directory, facts))
                    watching = tasks.create_task(self._watch(directory, expected))
                    await dumping
                    self.report(Progress("counting rows", space.used_bytes(directory), expected))
                    await counting
                    watching.cancel()
            except BaseExceptionGroup as group:
                raise first_error(group) from None
        return facts, counting.result()

    async def _derive(
        self, directory: Path, archive: Path, facts: Facts, tables: list[TableRows]
    ) -> tuple[list[BackupFile], tuple[str, ...]]:
        """The other formats, the roles and the list of objects; and what had to be left out."""
        files = []
        with explained(directory):
            derived = derive.Derivation(self.tools, directory, archive, tables)
            if "schema" in self.settings.formats:
                self.report(Progress("writing the schema"))
                files.append(await derived.schema())
            if "plain" in self.settings.formats:
                self.report(Progress("writing plain SQL"))
                files.append(await derived.plain())
            roles, warning = await derived.roles(self.target, self.settings.role_passwords)
            write_objects(directory, facts.objects)
            files += [roles] if roles else []
            files.append(describe(directory, OBJECTS, FileKind.OBJECTS))
        return files, (warning,) if warning else ()

    async def _count(self, connection: Connection, facts: Facts) -> list[TableRows]:
        if facts.table_bytes > self.settings.count_rows_below_gb * _GB:
            return [TableRows(table.schema, table.name, None, table.kind) for table in facts.tables]
        try:
            return await count_rows(connection, facts.tables)
        except psycopg.Error as error:
            raise explain(error, self.target) from error

    async def _run_pg_dump(self, directory: Path, facts: Facts) -> None:
        path = _archive_path(directory, self.settings)
        arguments = [
            f"--format={self.settings.archive_format}",
            compression_argument(self.settings.compression, self.tools),
            f"--snapshot={facts.moment.snapshot}",
            f"--lock-wait-timeout={_LOCK_WAIT_MS}",
            "--no-password",
            "--verbose",
        ]
        consume = None
        if self.tools.in_container:
            if self.settings.archive_format == "directory":
                raise ActionRefused(
                    "Tools in a container cannot write a directory archive to this disk.",
                    "Choose the custom format, or install the tools on this machine.",
                )
            consume = derive.into_file(path)
        else:
            # pg_dump writes the file itself: only into one it can seek in does it put the offsets
            # of the tables' data, which a parallel restore needs to begin at once.
            arguments.append(f"--file={path}")
        if self.settings.archive_format == "directory":
            arguments.append(f"--jobs={self.settings.jobs}")
        target = named(self.target, f"medianest-console {secrets.token_hex(6)}")
        try:
            with self.tools.command(target, "pg_dump", *arguments) as command:
                finished = await run(command, on_line=self._notice, consume=consume)
        except BaseException:
            if self.tools.in_container:
                await asyncio.shield(end_sessions(target, target.parameters["application_name"]))
            raise
        if finished.returncode != 0:
            raise finished.failure("The backup was not made")

    def _notice(self, line: str) -> None:
        match = _TABLE_LINE.search(line)
        if match is not None:
            self.table = match[1]

    async def _watch(self, directory: Path, expected: int) -> None:
        """Report how far it is, and raise CommandFailed before the disk is full."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                used = space.used_bytes(directory)
                self.report(Progress("dumping", used, max(expected, used), self.table))
                space.require_left(directory, self.settings.keep_free_mb)
                await asyncio.sleep(_WATCH_SECONDS)

    def _archive_files(self, directory: Path) -> list[BackupFile]:
        path = _archive_path(directory, self.settings)
        with explained(directory):
            if path.is_file():
                path.chmod(0o600)
                return [describe(directory, path.name, FileKind.CUSTOM)]
            path.chmod(0o700)
            names = sorted(inner.name for inner in path.iterdir())
            for name in names:
                (path / name).chmod(0o600)
            return [describe(directory, f"{path.name}/{n}", FileKind.DIRECTORY) for n in names]


def named(target: Target, application_name: str) -> Target:
    """The target with a name by which its sessions are known on the server."""
    parameters = {**target.parameters, "application_name": application_name}
    return replace(target, parameters=parameters)


def _archive_path(directory: Path, settings: BackupSettings) -> Path:
    return directory / ("archive" if settings.archive_format == "directory" else "archive.dump")


def describe(directory: Path, name: str, kind: FileKind) -> BackupFile:
    """A file with its size and hash, read from the disk and not from what was meant to be written.

    Raises OSError.
    """
    path = directory / name
    return BackupFile(name, kind, path.stat().st_size, sha256_of(path))


def compression_argument(compression: str, tools: Tools) -> str:
    """pg_dump's --compress for these tools. Raises ActionRefused for what they do not have."""
    method, _, level = compression.partition(":")
    if method == "none":
        return "--compress=0"
    if method == "gzip":
        return f"--compress={level or 6}"
    if tools.major < 16 or tools.embedded:
        raise ActionRefused(
            f"pg_dump {tools.version} in {tools.place} cannot compress with {method}.",
            "Choose gzip, or use tools of PostgreSQL 16 or later built with it.",
        )
    return f"--compress={compression}"


def _require_whole(manifest: Manifest) -> None:
    """Raises CommandFailed when the archive cannot hold what the catalog says there is."""
    tables = [table for table in manifest.tables or () if table.kind == "r"]
    if (manifest.data_entries or 0) < len(tables):
        raise CommandFailed(
            f"The archive holds the rows of {manifest.data_entries} tables;"
            f" the database has {len(tables)}.",
            "Make it again; tables may have been created or dropped while it ran.",
        )
