"""What a store holds: ROOT/TARGET/ID/ is one copy, there once its copy.json is.

Beside the backup's files, sealed or as they are, stand its manifest.json, readable, and its
record.json. copy.json is written last and names each stored file with its length and hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from console.backup import jsonfile
from console.backup.manifest import (
    MANIFEST,
    RECORD,
    Manifest,
    Record,
    Verdict,
    manifest_from,
)
from console.backup.retention import Decision, plan_prune
from console.backup.store import Backup, directory_name, is_backup_id
from console.errors import ActionRefused
from console.offsite.place import Place

COPY = "copy.json"
SCHEMA_VERSION = 1
_ABANDONED = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class StoredFile:
    name: str
    """As in the manifest."""
    stored_as: str
    bytes: int
    sha256: str
    """Of what is stored, so that it can be proven without the identity."""


@dataclass(frozen=True, slots=True)
class CopyManifest:
    schema_version: int
    id: str
    target: str
    copied_at: datetime
    sealed: bool
    """Encrypted by age, all but the manifest and the record."""
    files: tuple[StoredFile, ...]
    manifest_sha256: str

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Copy:
    """A published copy; `backup` is as the store tells of it, its path below the store's root."""

    backup: Backup
    manifest: CopyManifest | None
    """None when it is damaged; then the backup says how."""

    @property
    def id(self) -> str:
        return self.backup.id


def directory(target: str, identity: str) -> str:
    return f"{directory_name(target)}/{identity}"


def copies(place: Place, target: str) -> tuple[Copy, ...]:
    """The published copies of a target's backups, the newest first. Raises CommandFailed."""
    names = (name for name in place.names(directory_name(target)) if is_backup_id(name))
    found = (_load(place, target, name) for name in sorted(names, reverse=True))
    return tuple(copy for copy in found if copy is not None)


def find(found: Sequence[Copy], reference: str, place: Place) -> Copy:
    """By an id, an unambiguous beginning of one, or `latest` (the newest that was verified).

    Raises ActionRefused when there is none, or more than one.
    """
    if reference == "latest":
        chosen = [copy for copy in found if copy.backup.verdict is Verdict.PASS][:1]
    else:
        chosen = [copy for copy in found if copy.id.startswith(reference)]
    if len(chosen) != 1:
        problem = "stands for several copies" if chosen else "is not there"
        raise ActionRefused(
            f"The backup '{reference}' {problem} in the store '{place.name}'.",
            f"`backup list --from {place.name}` shows every copy with its id.",
        )
    return chosen[0]


def prune(place: Place, target: str, now: datetime | None = None) -> tuple[Decision, ...]:
    """Remove the copies that the store's own retention lets go, and what was never finished.

    Raises CommandFailed.
    """
    moment = now or datetime.now(UTC)
    backups = [copy.backup for copy in copies(place, target)]
    decisions = plan_prune(backups, place.settings.retention, moment)
    for decision in reversed(decisions):
        if not decision.keep:
            remove(place, target, decision.backup.id)
    _sweep(place, target, {backup.id for backup in backups}, moment)
    return decisions


def remove(place: Place, target: str, identity: str) -> None:
    """Its copy.json first, so that at no time half of a copy is listed."""
    where = directory(target, identity)
    place.remove(f"{where}/{COPY}")
    place.remove(where)


def _sweep(place: Place, target: str, published: set[str], now: datetime) -> None:
    """Copies that were never finished; young ones may be another machine's, still at it."""
    for name in place.names(directory_name(target)):
        if not is_backup_id(name) or name in published:
            continue
        if now - Backup(Path(name), None, Record()).made_at > _ABANDONED:
            place.remove(directory(target, name))


def _load(place: Place, target: str, identity: str) -> Copy | None:
    where = directory(target, identity)
    path = Path(where)
    try:
        content = place.read(f"{where}/{COPY}")
    except FileNotFoundError:
        return None
    try:
        found = jsonfile.decode(jsonfile.unsigned(jsonfile.parsed(content), COPY), CopyManifest)
        manifest = _manifest(place, where, found)
    except (ValueError, FileNotFoundError) as error:
        return Copy(Backup(path, None, Record(), str(error) or "its manifest is gone"), None)
    return Copy(Backup(path, manifest, _record(place, where)), found)


def _manifest(place: Place, where: str, found: CopyManifest) -> Manifest:
    manifest = manifest_from(place.read(f"{where}/{MANIFEST}"))
    if manifest.id != found.id:
        raise ValueError("its manifest is another backup's")
    return manifest


def _record(place: Place, where: str) -> Record:
    """What was known of it when it was copied; nothing, and so unproven, when that is damaged."""
    try:
        return jsonfile.decode(jsonfile.parsed(place.read(f"{where}/{RECORD}")), Record)
    except (ValueError, FileNotFoundError):
        return Record()
