"""What a restore starts from: a published backup, or any dump file, and what that needs."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from console.backup.archive import Opened, identify, read_fully
from console.backup.manifest import MANIFEST, FileKind, Manifest, Verdict
from console.backup.store import Backup, Store, load
from console.errors import ActionRefused, CommandFailed
from console.identifiers import unquoted
from console.tools import Tools
from console.units import duration

_OLDEST_READER = {(1, 14): 13, (1, 15): 16, (1, 16): 17}
"""The oldest major whose pg_restore reads an archive format (PostgreSQL, pg_backup_archiver.h)."""

_TAR_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Source:
    path: Path
    """What pg_restore or psql is given."""
    opened: Opened
    backup: Backup | None
    reason: str
    """Why this one, in words."""

    @property
    def manifest(self) -> Manifest | None:
        return self.backup.manifest if self.backup else None

    @property
    def name(self) -> str:
        return self.backup.id if self.backup else self.path.name

    @property
    def reader_major(self) -> int:
        """The oldest major whose tools read it."""
        version = self.opened.format_version
        if version is None and self.opened.kind is FileKind.TAR:
            version = _format_in_tar(self.path)
        if version is None:
            return 13
        newest = max(_OLDEST_READER.values())
        return _OLDEST_READER.get(version, 13 if version < (1, 14) else newest)


def _format_in_tar(path: Path) -> tuple[int, int] | None:
    with path.open("rb") as file:
        file.seek(_TAR_BLOCK)
        head = file.read(7)
    return (head[5], head[6]) if head.startswith(b"PGDMP") else None


SAFETY_NOTE = "before the restore"
"""What the note of a safety backup begins with: it holds what a restore was to replace."""


def is_safety(backup: Backup) -> bool:
    """It was made by a restore, of the database as it was before."""
    return backup.manifest is not None and backup.manifest.note.startswith(f"{SAFETY_NOTE} ")


def recommend(store: Store, target: str) -> tuple[Backup, str]:
    """The backup to restore, and why. Raises ActionRefused when there is none to speak of.

    The newest verified one, drilled or not; when none is, the newest that is not known to be bad.
    Safety backups hold what somebody wanted to be rid of: they come last.
    """
    usable = [backup for backup in store.backups(target) if backup.verdict is not Verdict.FAIL]
    backups = [backup for backup in usable if not is_safety(backup)] or usable
    if not backups:
        raise ActionRefused(
            f"There is no usable backup of '{target}' in {store.directory(target)}.",
            "Name the path of a dump file, or another backup directory in the settings.",
        )
    good = [backup for backup in backups if backup.verdict is Verdict.PASS]
    if not good:
        return backups[0], "the newest, but none of the backups is verified"
    chosen = good[0]
    reason = "the newest verified backup" + (
        "" if chosen is backups[0] else " (newer ones are not verified)"
    )
    drill = chosen.drill
    if drill is not None and drill.verdict is Verdict.PASS:
        reason += f"; a drill restored it in {duration(drill.restore_seconds)}"
    return chosen, reason


def find_source(store: Store, reference: str, target: str) -> Source:
    """What `latest`, an id or a path stands for. Raises ActionRefused, CommandFailed."""
    path = Path(reference).expanduser()
    if reference == "latest":
        backup, reason = recommend(store, target)
    elif "/" in reference or path.exists():
        return _from_path(path)
    else:
        backup, reason = _by_id(store, reference, target), "chosen by its id"
    return _from_backup(backup, reason)


def _by_id(store: Store, reference: str, target: str) -> Backup:
    """Among the target's own, else among all: another server's backup may be meant."""
    own = [backup for backup in store.backups(target) if backup.id.startswith(reference)]
    return store.find(reference, target if own else None)


def _from_path(path: Path) -> Source:
    directory = path if path.is_dir() else path.parent
    if (directory / MANIFEST).exists():
        backup = load(directory)
        if path == directory or path == backup.archive_path:
            return _from_backup(backup, "chosen by its path")
    if path.is_dir() and (path.parent / MANIFEST).exists():
        backup = load(path.parent)
        if path == backup.archive_path:
            return _from_backup(backup, "chosen by its path")
    return Source(path, _opened(path), None, "a dump file without history")


def _from_backup(backup: Backup, reason: str) -> Source:
    path = backup.archive_path
    if path is None:
        raise ActionRefused(
            f"The backup {backup.id} is damaged: {backup.problem or 'it has no archive'}.",
            "Choose another, or name the path of its dump file itself.",
        )
    return Source(path, _opened(path), backup, reason)


def reopened(archive: str, backup: str) -> Source:
    """The source of a restore that was begun before. Raises ActionRefused, CommandFailed."""
    path = Path(archive)
    return Source(path, _opened(path), load(Path(backup)) if backup else None, "as planned")


def _opened(path: Path) -> Opened:
    try:
        return identify(path)
    except OSError as error:
        raise CommandFailed(
            f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be on the server before a dump can be restored."""

    roles: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()


_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_ROLE = re.compile(
    rf"(?:\bOWNER TO|\bFOR ROLE|^SET SESSION AUTHORIZATION|^GRANT .* TO|^REVOKE .* FROM)"
    rf" ({_IDENTIFIER})(?: WITH GRANT OPTION)?[; ]"
)
_EXTENSION = re.compile(rf"^CREATE EXTENSION (?:IF NOT EXISTS )?({_IDENTIFIER})")
_NOT_ROLES = frozenset({"PUBLIC", "DEFAULT", "CURRENT_USER", "SESSION_USER", "stdin"})


async def needs_of(source: Source, tools: Tools) -> Needs:
    """Roles and extensions, from the manifest, else from the dump's own SQL.

    Raises CommandFailed when it cannot be read.
    """
    manifest = source.manifest
    if manifest is not None and manifest.properties is not None:
        return Needs(
            frozenset(role.name for role in manifest.roles),
            frozenset(extension.name for extension in manifest.extensions),
        )
    if source.opened.kind is FileKind.PLAIN:
        return await asyncio.to_thread(_needs_of_plain, source)
    scan = _Scan()
    await read_fully(tools, source.path, lambda stream: scan.read(stream), "--schema-only")
    return scan.needs


def _needs_of_plain(source: Source) -> Needs:
    scan = _Scan()
    with (
        gzip.open(source.path, "rb") if source.opened.gzipped else source.path.open("rb")
    ) as stream:
        scan.read(stream)
    return scan.needs


@dataclass(slots=True)
class _Scan:
    roles: set[str] = field(default_factory=set)
    extensions: set[str] = field(default_factory=set)

    @property
    def needs(self) -> Needs:
        kept = {name for name in self.roles if name not in _NOT_ROLES and not _predefined(name)}
        return Needs(frozenset(kept), frozenset(self.extensions))

    def read(self, lines: Iterable[bytes]) -> None:
        for line in _outside_rows(lines):
            if found := _ROLE.search(line):
                self.roles.add(unquoted(found[1]))
            if found := _EXTENSION.match(line):
                self.extensions.add(unquoted(found[1]))


def _predefined(name: str) -> bool:
    return name.startswith("pg_")


def _outside_rows(lines: Iterable[bytes]) -> Iterator[str]:
    """The lines of SQL, without those that are rows of a COPY."""
    inside = False
    for line in lines:
        if inside:
            inside = line != b"\\.\n"
        elif line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            inside = True
        else:
            yield line.decode("utf-8", "replace")
