"""Bring a copy back: decrypted, compared with both manifests, published here like any backup."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from console.backup import jsonfile, space
from console.backup.dump import Progress
from console.backup.manifest import MANIFEST, BackupFile, Check, Verdict, write_record
from console.backup.policy import BackupSettings
from console.backup.store import Backup, Store, explained, load
from console.errors import ActionRefused, CommandFailed
from console.offsite import copies
from console.offsite.copies import Copy, StoredFile
from console.offsite.place import Place
from console.offsite.push import Report, read_back
from console.offsite.transfer import (
    Measured,
    Transfer,
    copy,
    identities_of,
    in_thread,
    unseal,
)
from console.units import size


async def fetch(
    place: Place,
    backups: Store,
    found: Copy,
    target: str,
    settings: BackupSettings,
    report: Report,
) -> Backup:
    """The copy as a backup in the directory; the one that is there already, if it is.

    Raises CommandFailed, ActionRefused and SettingsError; nothing is published then.
    """
    here = backups.directory(target) / found.id
    if here.is_dir():
        return load(here)
    if found.manifest is None or found.backup.manifest is None:
        raise ActionRefused(
            f"The copy of {found.id} is damaged: {found.backup.problem}.", "Choose another."
        )
    identities = identities_of(place.settings.identity_file) if found.manifest.sealed else []
    expected = found.backup.manifest.bytes
    transfer = Transfer()

    def work() -> Backup:
        with backups.lock(target):
            with backups.partial(target, found.id) as partial:
                space.require(partial, expected, settings.keep_free_mb)
                _receive(place, found, target, partial, identities, transfer)
            return load(here)

    def tell(done: int) -> None:
        report(Progress(f"fetching from {place.name}", done, expected))

    return await in_thread(transfer, work, tell)


def _receive(
    place: Place,
    found: Copy,
    target: str,
    into: Path,
    identities: Sequence[Any],
    transfer: Transfer,
) -> None:
    assert found.manifest is not None
    assert found.backup.manifest is not None
    where = copies.directory(target, found.id)
    stored = {file.name: file for file in found.manifest.files}
    for file in found.backup.manifest.files:
        if file.name not in stored:
            raise CommandFailed(f"The copy of {found.id} lacks {file.name}.", "Choose another.")
        _receive_file(place, where, stored[file.name], file, into, identities, transfer)
    told = place.read(f"{where}/{MANIFEST}")
    if hashlib.sha256(told).hexdigest() != found.manifest.manifest_sha256:
        raise CommandFailed(
            f"The manifest of {found.id} was changed in the store '{place.name}'.",
            "Choose another copy.",
        )
    with explained(into):
        (into / MANIFEST).write_bytes(told)
        (into / MANIFEST).chmod(0o600)
        write_record(into, found.backup.record)


def _receive_file(
    place: Place,
    where: str,
    stored: StoredFile,
    file: BackupFile,
    into: Path,
    identities: Sequence[Any],
    transfer: Transfer,
) -> None:
    path = _inside(into, file.name)
    try:
        with (
            _LocalFile(path) as local,
            place.reading(f"{where}/{stored.stored_as}") as stream,
        ):
            source, result = Measured(stream, transfer), Measured(local)
            if identities:
                unseal(source, result, identities)
            else:
                copy(source, result)
    except FileNotFoundError as error:
        raise CommandFailed(
            f"The store '{place.name}' has lost {stored.stored_as} of {where}.", "Choose another."
        ) from error
    if result.sha256 != file.sha256 or source.sha256 != stored.sha256:
        raise CommandFailed(
            f"{file.name} from the store '{place.name}' is not what was backed up.",
            "Choose another copy.",
        )


def _inside(directory: Path, name: str) -> Path:
    """A manifest comes from elsewhere: its names must not lead out of the directory."""
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise CommandFailed(f"The copy names a file outside of it: {name}.", "Do not use it.")
    return path


class _LocalFile:
    """A file here, 0600; what the disk says of it is not blamed on the store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _LocalFile:
        with explained(self._path):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._file: BinaryIO = self._path.open("xb")
            self._path.chmod(0o600)
        return self

    def write(self, data: bytes) -> None:
        with explained(self._path):
            self._file.write(data)

    def __exit__(self, *_: object) -> None:
        with explained(self._path):
            self._file.close()


async def examine(place: Place, found: Copy, target: str, report: Report) -> tuple[Check, ...]:
    """Read a copy to its end where it is, and compare it with what was stored."""
    if found.manifest is None or found.backup.manifest is None:
        return (Check("copy", Verdict.FAIL, found.backup.problem),)
    transfer, expected = Transfer(), found.manifest.bytes
    stored = found.manifest.files

    def work() -> list[str]:
        where = copies.directory(target, found.id)
        return [
            problem
            for file in stored
            if (problem := _difference(place, f"{where}/{file.stored_as}", file, transfer))
        ]

    def tell(done: int) -> None:
        report(Progress(f"reading from {place.name}", done, expected))

    damaged = await in_thread(transfer, work, tell)
    what = "SHA-256 of each stored file"
    if damaged:
        return (Check(what, Verdict.FAIL, "; ".join(damaged)),)
    return (Check(what, Verdict.PASS, f"{len(stored)} files, {size(expected)}, as copied"),)


def _difference(place: Place, path: str, file: StoredFile, transfer: Transfer) -> str:
    if place.size(path) is None:
        return f"{file.stored_as} is missing"
    found = read_back(place, path, transfer)
    same = found.bytes == file.bytes and found.sha256 == file.sha256
    return "" if same else f"{file.stored_as} has other content"


def listing(place: Place, found: Sequence[Copy], target: str) -> list[dict[str, Any]]:
    """What a store holds, for programs."""
    root = place.settings.url.rstrip("/")
    return [
        {
            "id": one.id,
            "url": f"{root}/{copies.directory(target, one.id)}",
            "verdict": str(one.backup.verdict),
            "problem": one.backup.problem,
            "copy": jsonfile.encode(one.manifest) if one.manifest else None,
            "manifest": jsonfile.encode(one.backup.manifest) if one.backup.manifest else None,
        }
        for one in found
    ]


async def opened(name: str, stores: Any) -> Place:
    """The store of that name in the settings. Raises ActionRefused when there is none."""
    if name not in stores:
        known = ", ".join(sorted(stores)) or "none"
        raise ActionRefused(f"There is no store '{name}' in the settings.", f"Known: {known}.")
    place = await asyncio.to_thread(Place, name, stores[name])
    await asyncio.to_thread(place.require_root)
    return place
