"""Base backups by pg_basebackup: published whole or not at all, verified by pg_verifybackup.

bases/ID/ holds one: `data` (and `tablespaces`, which `data` points to by relative links),
`base.json`, written once with a digest of itself, and `record.json`, which grows with proofs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import queries
from console.backup import jsonfile, space
from console.backup.manifest import (
    Check,
    Proof,
    Record,
    Verdict,
    proof,
    read_record,
    write_record,
)
from console.backup.store import explained, sync_file
from console.errors import ActionRefused, CommandFailed
from console.pitr.archive import Archive
from console.pitr.names import lsn
from console.pitr.setup import read_server, require_same
from console.pitr.tooling import tools_for
from console.process import run
from console.session import Limits, connect
from console.settings import Settings
from console.target import Target
from console.tools import Tools
from queries.pitr import NAMED_FILES, TABLESPACES, WAL_SERVER, Tablespace

SCHEMA_VERSION = 1
_MANIFEST = "base.json"
_ID = re.compile(r"(\d{8}T\d{6}Z)-(full|incremental)")
_STAMP = "%Y%m%dT%H%M%SZ"
_SUMMARIES_MAJOR = 17
"""Incremental base backups came with PostgreSQL 17."""

_LOOKING = Limits(statement_ms=60_000, lock_ms=10_000, connect_s=15)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BaseManifest:
    id: str
    target: str
    parent: str
    """The base that an incremental one is laid over; '' for a full one."""
    stretch: int
    """The number of the WAL directory that was current."""
    timeline: int
    start_lsn: str
    stop_lsn: str
    """Nothing before it can be recovered to from this base."""
    started_at: datetime
    ended_at: datetime
    """By the server's clock, when the backup had ended."""
    seconds: float
    bytes: int
    server_version: str
    server_version_number: int
    system_identifier: int
    tools_version: str
    tablespaces: tuple[Tablespace, ...] = ()
    note: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def major(self) -> int:
        return self.server_version_number // 10000


@dataclass(frozen=True, slots=True)
class Base:
    """One published base backup; `manifest` is None when it is damaged, `problem` says how."""

    path: Path
    manifest: BaseManifest | None
    record: Record
    problem: str = ""

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def verification(self) -> Proof | None:
        return self.record.newest("verify")

    @property
    def drill(self) -> Proof | None:
        return self.record.newest("drill")

    @property
    def verdict(self) -> Verdict:
        """The newest verification's; a base that was never verified does not pass."""
        if self.manifest is None:
            return Verdict.FAIL
        return self.verification.verdict if self.verification else Verdict.COULD_NOT_VERIFY


def bases(archive: Archive) -> tuple[Base, ...]:
    """All published bases, the newest first; damaged ones too."""
    with explained(archive.bases):
        names = [path for path in archive.bases.iterdir() if _ID.fullmatch(path.name)]
    return tuple(_load(path) for path in sorted(names, reverse=True))


def find_base(archive: Archive, reference: str) -> Base:
    """A base by its id or an unambiguous beginning of it. Raises ActionRefused."""
    found = [base for base in bases(archive) if base.id.startswith(reference)]
    if len(found) != 1 or not reference:
        problem = "is not there" if not found else "stands for several base backups"
        raise ActionRefused(
            f"The base backup '{reference}' {problem}.",
            "`pitr status` shows every one with its id.",
        )
    return found[0]


def chain(archive: Archive, base: Base) -> tuple[Base, ...]:
    """The full base and the incremental ones up to `base`. Raises ActionRefused when broken."""
    known = {other.id: other for other in bases(archive)}
    found = [base]
    while found[0].manifest is not None and found[0].manifest.parent:
        parent = known.get(found[0].manifest.parent)
        if parent is None or parent.manifest is None:
            raise ActionRefused(
                f"The base backup {found[0].id} is incremental, and what it is laid over,"
                f" {found[0].manifest.parent}, is missing or damaged.",
                "Use another base backup.",
            )
        found.insert(0, parent)
    return tuple(found)


def _load(path: Path) -> Base:
    record = Record()
    with contextlib.suppress(OSError, ValueError):
        record = read_record(path)
    try:
        return Base(path, _read_manifest(path / _MANIFEST), record)
    except FileNotFoundError:
        return Base(path, None, record, "it has no base.json")
    except (OSError, ValueError) as error:
        return Base(path, None, record, getattr(error, "strerror", None) or str(error))


def _read_manifest(path: Path) -> BaseManifest:
    content = jsonfile.read(path)
    if not isinstance(content, dict):
        raise ValueError("base.json is not an object")
    digest = content.pop("digest", None)
    if digest != hashlib.sha256(jsonfile.canonical(content)).hexdigest():
        raise ValueError("base.json was changed after it was written")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"base.json is of version {content.get('schema_version')}")
    return jsonfile.decode(content, BaseManifest)


def add_proof(base: Base, found: Proof) -> Base:
    """Record a verification or drill; the base as it is then. Raises CommandFailed."""
    with explained(base.path):
        write_record(base.path, _load(base.path).record.with_proof(found))
    return _load(base.path)


async def make_base(
    target: Target,
    settings: Settings,
    archive: Archive,
    *,
    incremental: bool = False,
    note: str = "",
    tell: Tell = lambda line: None,
) -> Base:
    """Take a base backup and publish it, not yet verified. Cancelling it leaves nothing behind.

    Raises ConsoleError kinds: ActionRefused when another one is being made, the server is another
    one, or an incremental one cannot be, CommandFailed when pg_basebackup fails.
    """
    server = await read_server(target)
    require_same(archive, server)
    tools = await tools_for(archive.info.major, settings, target)
    with archive.lock("base", "Another base backup is being made"):
        _sweep(archive)
        parent = (
            _parent(archive, server.summarizes_wal, server.tablespaces) if incremental else None
        )
        space.require_left(archive.directory, settings.backups.keep_free_mb)
        making = _Making(target, archive, tools, parent, note, tell)
        identity = _new_id(archive, incremental)
        with _partial(archive, identity) as directory:
            await making.make(directory, identity)
        return _load(archive.bases / identity)


def _parent(archive: Archive, summarizes: bool, tablespaces: int) -> Base:
    """The newest verified base, to make an incremental one over. Raises ActionRefused."""
    if archive.info.major < _SUMMARIES_MAJOR or not summarizes:
        raise ActionRefused(
            "An incremental base backup needs PostgreSQL 17 or later with summarize_wal = on.",
            "Make a full one, or ALTER SYSTEM SET summarize_wal = on and reload.",
        )
    if tablespaces:
        raise ActionRefused(
            "Incremental base backups of a server with tablespaces are not made.",
            "Make a full one.",
        )
    good = [base for base in bases(archive) if base.verdict is Verdict.PASS]
    if not good:
        raise ActionRefused(
            "There is no verified base backup to lay an incremental one over.",
            "Make a full one first.",
        )
    return good[0]


@dataclass(slots=True)
class _Making:
    target: Target
    archive: Archive
    tools: Tools
    parent: Base | None
    note: str
    tell: Tell

    async def make(self, directory: Path, identity: str) -> None:
        began = time.monotonic()
        stretch = self.archive.current.number
        async with connect(self.target, limits=_LOOKING) as connection:
            before = await queries.fetch_one(connection, WAL_SERVER)
            places = tuple(await queries.fetch(connection, TABLESPACES))
            files = await queries.fetch(connection, NAMED_FILES)
        names = {(row.database, row.file): row.name for row in files}
        await asyncio.to_thread(self.archive.add_names, names)
        await self._run(directory, places)
        after = await read_server(self.target)
        await asyncio.to_thread(_relink, directory, places)
        ranges = await asyncio.to_thread(_wal_range, directory / "data")
        manifest = BaseManifest(
            id=identity,
            target=self.archive.target,
            parent=self.parent.id if self.parent else "",
            stretch=stretch,
            timeline=ranges["Timeline"],
            start_lsn=ranges["Start-LSN"],
            stop_lsn=ranges["End-LSN"],
            started_at=before.at,
            ended_at=after.at,
            seconds=round(time.monotonic() - began, 3),
            bytes=await asyncio.to_thread(space.used_bytes, directory),
            server_version=after.server_version,
            server_version_number=after.server_version_number,
            system_identifier=int(after.system_identifier),
            tools_version=self.tools.version,
            tablespaces=places,
            note=self.note,
        )
        content = jsonfile.encode(manifest)
        content["digest"] = hashlib.sha256(jsonfile.canonical(content)).hexdigest()
        with explained(directory):
            jsonfile.write(directory / _MANIFEST, content)

    async def _run(self, directory: Path, places: Sequence[Tablespace]) -> None:
        arguments = [
            f"--pgdata={directory / 'data'}",
            "--format=plain",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-password",
            "--label=medianest-console",
            "--manifest-checksums=SHA256",
        ]
        for place in places:
            old = place.location.replace("\\", "\\\\").replace("=", "\\=")
            arguments.append(f"--tablespace-mapping={old}={directory / 'tablespaces'}/{place.oid}")
        if self.parent is not None:
            arguments.append(f"--incremental={self.parent.data / 'backup_manifest'}")
        self.tell("copying the data directory")
        with self.tools.command(self.target, "pg_basebackup", *arguments) as command:
            finished = await run(command)
        if finished.returncode != 0:
            raise finished.failure(
                "The base backup was not made", "Mend what it says, and make it again."
            )


def _relink(directory: Path, places: Sequence[Tablespace]) -> None:
    """Links that stay right when the backup is renamed or copied."""
    with explained(directory):
        for place in places:
            link = directory / "data" / "pg_tblspc" / str(place.oid)
            link.unlink()
            link.symlink_to(Path("..", "..", "tablespaces", str(place.oid)))


def _wal_range(data: Path) -> dict[str, Any]:
    """The WAL that makes it consistent, from the manifest. Raises CommandFailed."""
    with explained(data):
        ranges = jsonfile.read(data / "backup_manifest")["WAL-Ranges"]
    if not ranges:
        raise CommandFailed("The base backup's manifest names no WAL.", "Make it again.")
    first, last = ranges[0], ranges[-1]
    return {
        "Timeline": last["Timeline"],
        "Start-LSN": min((r["Start-LSN"] for r in ranges), key=lsn) if first else "",
        "End-LSN": last["End-LSN"],
    }


async def verify_base(
    archive: Archive, base: Base, settings: Settings, tell: Tell = lambda line: None
) -> Base:
    """Read every file, compare its hash, and parse the WAL it needs; the verdict is recorded.

    Raises ActionRefused for a damaged base or missing programs.
    """
    if base.manifest is None:
        raise ActionRefused(
            f"The base backup {base.id} is damaged: {base.problem}.", "Make another."
        )
    began = time.monotonic()
    tools = await tools_for(base.manifest.major, settings)
    tell("reading every file of the base backup")
    with tools.command(None, "pg_verifybackup", "--quiet", str(base.data)) as command:
        finished = await run(command)
    good = finished.returncode == 0
    answer = (
        f"{base.manifest.start_lsn} to {base.manifest.stop_lsn}" if good else finished.complaint
    )
    checks = [
        Check("pg_verifybackup", Verdict.PASS if good else Verdict.FAIL, answer),
        _check_range(base, base.manifest),
    ]
    checks += [
        Check(f"laid over {older.id}", older.verdict, older.problem or str(older.verdict))
        for older in chain(archive, base)[:-1]
    ]
    return add_proof(base, proof("verify", checks, time.monotonic() - began))


def _check_range(base: Base, manifest: BaseManifest) -> Check:
    found = _wal_range(base.data)
    same = (found["Start-LSN"], found["End-LSN"]) == (manifest.start_lsn, manifest.stop_lsn)
    verdict = Verdict.PASS if same else Verdict.FAIL
    return Check("WAL range as recorded", verdict, f"{found['Start-LSN']} to {found['End-LSN']}")


def _new_id(archive: Archive, incremental: bool) -> str:
    """An id after every other, whatever the clock says."""
    moment = datetime.now(UTC).replace(microsecond=0)
    stamps = [match[1] for path in archive.bases.iterdir() if (match := _ID.fullmatch(path.name))]
    if stamps:
        newest = datetime.strptime(max(stamps), _STAMP).replace(tzinfo=UTC)
        moment = max(moment, newest + timedelta(seconds=1))
    return f"{moment:{_STAMP}}-{'incremental' if incremental else 'full'}"


def _sweep(archive: Archive) -> None:
    """Remove what killed runs have left behind (hold the lock)."""
    with explained(archive.bases):
        for path in archive.bases.iterdir():
            if path.name.startswith(".") and path.name.endswith((".partial", ".removing")):
                shutil.rmtree(path)


@contextmanager
def _partial(archive: Archive, identity: str) -> Iterator[Path]:
    """A hidden directory to make a base in: published at the end, removed on any error."""
    path = archive.bases / f".{identity}.partial"
    try:
        with explained(archive.bases):
            path.mkdir(mode=0o700)
        yield path
        with explained(path):
            # pg_basebackup has made its own files durable.
            sync_file(path / _MANIFEST)
            jsonfile.sync_directory(path)
            path.rename(archive.bases / identity)
            jsonfile.sync_directory(archive.bases)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def remove_base(archive: Archive, base: Base) -> None:
    """Remove a published base (hold the base lock): at no time is half of one listed."""
    hidden = archive.bases / f".{base.id}.removing"
    with explained(archive.bases):
        base.path.rename(hidden)
        jsonfile.sync_directory(archive.bases)
        shutil.rmtree(hidden)


def disk_free(archive: Archive) -> int:
    """Bytes free for the archive."""
    found = os.statvfs(archive.directory)
    return found.f_bavail * found.f_frsize
