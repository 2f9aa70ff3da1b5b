"""The archive of one target: what was received, in which files, and what is known of each.

ROOT/TARGET/
  archive.json        which server this is of
  wal-0001/           segments as pg_receivewal wrote them, whole ones packed; histories
  ledger-0001.jsonl   a line a whole segment: its hash, its commits' times, what happened in it
  bases/              base backups
  receive.json        how far the receiver is

A new wal-NNNN begins only when the server could not go on where the last one ends: between two of
them is a gap.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from console.backup import jsonfile
from console.backup.store import Store, explained
from console.errors import ActionRefused, CommandFailed
from console.pitr.policy import PitrSettings
from console.pitr.segment import Identity
from console.pitr.stretch import Stretch

SCHEMA_VERSION = 1
_INFO = "archive.json"
_NAMES = "relations.json"


@dataclass(frozen=True, slots=True)
class ArchiveInfo:
    """Which server an archive is of; written by `pitr setup`."""

    target: str
    system_identifier: int
    server_version: str
    server_version_number: int
    segment_bytes: int
    slot: str
    """'' when an existing archive is read instead."""
    superuser: str
    """The bootstrap superuser, who is there in every copy."""
    database: str
    created_at: datetime
    source: str = ""
    """The existing archive that is read; '' when WAL is received here."""
    schema_version: int = SCHEMA_VERSION

    @property
    def major(self) -> int:
        return self.server_version_number // 10000

    @property
    def identity(self) -> Identity:
        return Identity(self.system_identifier, self.major, self.segment_bytes)


@dataclass(frozen=True, slots=True)
class Archive:
    """Paths of one target's archive; nothing is read until asked for."""

    directory: Path
    target: str
    info: ArchiveInfo
    names: dict[tuple[int, int], str] = field(default_factory=dict)
    """Tables by (database's oid, file's number), as far as they were ever seen."""

    @property
    def bases(self) -> Path:
        return self.directory / "bases"

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """Oldest first; at least one."""
        info = self.info
        if info.source:
            ledger = self.directory / "ledger-source.jsonl"
            return (Stretch(Path(info.source), ledger, 0, info.identity, foreign=True),)
        numbers = sorted(int(path.name[4:]) for path in self.directory.glob("wal-[0-9]*"))
        return tuple(self._stretch(number) for number in numbers or [1])

    def _stretch(self, number: int) -> Stretch:
        directory = self.directory / f"wal-{number:04}"
        ledger = self.directory / f"ledger-{number:04}.jsonl"
        return Stretch(directory, ledger, number, self.info.identity)

    @property
    def current(self) -> Stretch:
        return self.stretches[-1]

    def new_stretch(self) -> Stretch:
        """Begin anew after a gap. Raises CommandFailed."""
        return self._claimed(self._stretch(self.current.number + 1))

    def claim_stretch(self) -> Stretch:
        """The directory that WAL is received into, made if need be. Raises CommandFailed."""
        return self._claimed(self.current)

    def _claimed(self, stretch: Stretch) -> Stretch:
        with explained(stretch.directory):
            stretch.directory.mkdir(mode=0o700, exist_ok=True)
        return stretch

    def watched(self) -> frozenset[tuple[int, int]]:
        """Tables whose new rows are notable: Prisma's record of migrations."""
        return frozenset(
            relation
            for relation, name in self.names.items()
            if name.endswith("._prisma_migrations")
        )

    def add_names(self, names: dict[tuple[int, int], str]) -> Archive:
        """Remember tables for good, also after they are dropped. Raises CommandFailed."""
        path = self.directory / _NAMES
        with explained(self.directory):
            before = _read_names(path)
            known = {**before, **names}
            if known != before:
                rows = [[database, file, name] for (database, file), name in sorted(known.items())]
                jsonfile.write(path, rows)
        return replace(self, names=known)

    @contextmanager
    def lock(self, purpose: str, words: str) -> Iterator[None]:
        """Hold the archive for one purpose. Raises ActionRefused while another process does.

        The kernel lets go when the holder dies, so a lock is never stale.
        """
        with (
            explained(self.directory),
            (self.directory / f".{purpose}.lock").open("a+") as file,
        ):
            os.chmod(file.fileno(), 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ActionRefused(
                    f"{words} (pid {file.read().strip() or 'unknown'}).", "Wait until it ends."
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def holder(self, purpose: str) -> int | None:
        """The pid of the process that holds the archive for `purpose`; None when none does."""
        path = self.directory / f".{purpose}.lock"
        try:
            with path.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = path.read_text().strip()
            return int(text) if text.isdigit() else 0
        except OSError:
            pass  # no lock file, or not ours to write: then no process of ours holds it
        return None


def directory_of(settings: PitrSettings, target: str) -> Path:
    """Where a target's archive is; the name is made safe for any file system."""
    return Store(settings.directory).directory(target)


def create(settings: PitrSettings, info: ArchiveInfo) -> Archive:
    """Make the archive's directory and say whose it is. Raises CommandFailed."""
    directory = Store(settings.directory).claim(info.target)
    with explained(directory):
        (directory / "bases").mkdir(mode=0o700, exist_ok=True)
        jsonfile.write(directory / _INFO, jsonfile.encode(info))
    archive = Archive(directory, info.target, info)
    if not info.source:
        archive.claim_stretch()
    return archive


def find(settings: PitrSettings, target: str) -> Archive | None:
    """The target's archive; None when there is none. Raises CommandFailed when it is damaged."""
    directory = directory_of(settings, target)
    path = directory / _INFO
    if not path.exists():
        return None
    try:
        info = jsonfile.decode(jsonfile.read(path), ArchiveInfo)
        names = _read_names(directory / _NAMES)
    except (OSError, ValueError) as error:
        raise CommandFailed(
            f"{path} cannot be used: {error}.",
            "`pitr setup --new-archive` puts it aside and begins another.",
        ) from error
    return Archive(directory, target, info, names)


def require(settings: PitrSettings, target: str) -> Archive:
    """The target's archive. Raises ActionRefused when `pitr setup` was not run."""
    archive = find(settings, target)
    if archive is None:
        raise ActionRefused(
            f"There is no WAL archive of '{target}' in {settings.directory}.",
            "Run `medianest-console pitr setup` first.",
        )
    return archive


def put_aside(archive: Archive) -> Path:
    """Give the archive another name, so that a new one can begin; its new path."""
    aside = archive.directory.with_name(
        f"{archive.directory.name}.until-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    )
    with explained(archive.directory):
        archive.directory.rename(aside)
        jsonfile.sync_directory(aside.parent)
    return aside


def _read_names(path: Path) -> dict[tuple[int, int], str]:
    if not path.exists():
        return {}
    return {(database, file): name for database, file, name in jsonfile.read(path)}
