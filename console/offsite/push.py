"""Copy verified backups to the stores: sealed, read back, and published by their last file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from console.backup import jsonfile
from console.backup.dump import Progress
from console.backup.manifest import MANIFEST, RECORD, BackupFile, Copied, Record, Verdict
from console.backup.retention import plan_prune
from console.backup.store import Backup, Store
from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.offsite import copies
from console.offsite.copies import COPY, SCHEMA_VERSION, CopyManifest, StoredFile
from console.offsite.place import Place
from console.offsite.policy import StoreSettings
from console.offsite.transfer import (
    Measured,
    Transfer,
    copy,
    file_reader,
    in_thread,
    recipients_of,
    seal,
)
from console.units import size

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one store got of a target's backups."""

    store: str
    copied: tuple[str, ...] = ()
    """Ids."""
    problem: ConsoleError | None = None


async def push_missing(
    backups: Store,
    target: str,
    stores: dict[str, StoreSettings],
    report: Report,
    *,
    only: str | None = None,
) -> tuple[Pushed, ...]:
    """Bring each store up to date: what it lacks and would keep; then its own retention.

    `only` is the id of the one backup that is meant. A store that fails is told in its answer
    and in the backup's record, and keeps no other from its copy.
    """
    return tuple(
        [
            await _push_to(name, settings, backups, target, report, only)
            for name, settings in stores.items()
        ]
    )


async def _push_to(
    name: str,
    settings: StoreSettings,
    backups: Store,
    target: str,
    report: Report,
    only: str | None,
) -> Pushed:
    done: list[str] = []
    local = await asyncio.to_thread(backups.backups, target)
    wanted = [one for one in local if only in (None, one.id) and one.verdict is Verdict.PASS]
    report(Progress(f"asking the store {name}"))
    try:
        place = await asyncio.to_thread(Place, name, settings)
        await asyncio.to_thread(place.require_root)
        there = await asyncio.to_thread(copies.copies, place, target)
        for backup in _missing(wanted, there, settings, by_name=only is not None):
            await push(place, backups, backup, target, report)
            done.append(backup.id)
        await asyncio.to_thread(_refresh_records, place, target, local, there)
        await asyncio.to_thread(copies.prune, place, target)
    except ConsoleError as error:
        failed = [one for one in wanted if one.id not in done][:1]
        for backup in failed:
            await _remember(backups, backup, name, 0, error.message)
        return Pushed(name, tuple(done), error)
    return Pushed(name, tuple(done))


def _missing(
    wanted: Sequence[Backup],
    there: Sequence[copies.Copy],
    settings: StoreSettings,
    *,
    by_name: bool,
) -> list[Backup]:
    """The newest first: of what the store lacks, what its retention would not remove again."""
    known = {one.id for one in there if one.manifest is not None}
    lacking = [backup for backup in wanted if backup.id not in known]
    if by_name:
        return lacking
    whole = {one.id: one.backup for one in there} | {one.id: one for one in lacking}
    decisions = plan_prune(list(whole.values()), settings.retention, datetime.now(UTC))
    kept = {decision.backup.id for decision in decisions if decision.keep}
    return [backup for backup in lacking if backup.id in kept]


async def push(
    place: Place, backups: Store, backup: Backup, target: str, report: Report
) -> CopyManifest:
    """Copy one backup and prove the copy. Raises CommandFailed; leaves nothing published then."""
    manifest = backup.manifest
    if manifest is None:
        raise ActionRefused(
            f"The backup {backup.id} is damaged: {backup.problem}.", "Choose another."
        )
    recipients = recipients_of(place.settings.recipients)
    transfer = Transfer()
    readings = 2 if place.settings.check == "content" else 1

    def tell(done: int) -> None:
        report(Progress(f"copying to {place.name}", done, manifest.bytes * readings))

    def work() -> CopyManifest:
        with backups.using(backup):
            return _publish(place, backup, target, recipients, transfer)

    published = await in_thread(transfer, work, tell)
    await _remember(backups, backup, place.name, published.bytes)
    return published


def _publish(
    place: Place, backup: Backup, target: str, recipients: Sequence[Any], transfer: Transfer
) -> CopyManifest:
    manifest = backup.manifest
    assert manifest is not None
    where = copies.directory(target, backup.id)
    copies.remove(place, target, backup.id)
    stored = tuple(
        _send(place, backup.path, where, file, recipients, transfer) for file in manifest.files
    )
    for file in stored:
        _prove(place, f"{where}/{file.stored_as}", file, transfer)
    told = (backup.path / MANIFEST).read_bytes()
    _put(place, f"{where}/{MANIFEST}", told)
    _put(place, f"{where}/{RECORD}", _record_text(backup.record))
    whole = CopyManifest(
        SCHEMA_VERSION,
        backup.id,
        target,
        datetime.now(UTC),
        bool(recipients),
        stored,
        hashlib.sha256(told).hexdigest(),
    )
    place.publish(f"{where}/{COPY}", jsonfile.written(jsonfile.signed(whole)).encode())
    return whole


def _send(
    place: Place,
    directory: Path,
    where: str,
    file: BackupFile,
    recipients: Sequence[Any],
    transfer: Transfer,
) -> StoredFile:
    stored_as = file.name + (".age" if recipients else "")
    with (
        file_reader(directory / file.name) as opened,
        place.writing(f"{where}/{stored_as}", file.bytes) as stream,
    ):
        source, into = Measured(opened, transfer), Measured(stream)
        if recipients:
            seal(source, into, recipients)
        else:
            copy(source, into)
    if source.sha256 != file.sha256:
        raise CommandFailed(
            f"{file.name} of the backup {directory.name} is no longer what it was.",
            f"Verify it: medianest-console backup verify {directory.name}.",
        )
    return StoredFile(file.name, stored_as, into.bytes, into.sha256)


def _prove(place: Place, path: str, file: StoredFile, transfer: Transfer) -> None:
    """Raises CommandFailed when the store has not what it was given."""
    length = place.size(path)
    if length == file.bytes and place.settings.check == "content":
        if read_back(place, path, transfer).sha256 == file.sha256:
            return
        problem = "other content"
    elif length == file.bytes:
        return
    else:
        problem = f"{size(length)} instead of {size(file.bytes)}"
    raise CommandFailed(
        f"The store '{place.name}' failed: it has {problem} for {file.stored_as}.",
        "Try again; if it stays so, do not trust that store.",
    )


def read_back(place: Place, path: str, transfer: Transfer) -> Measured:
    """A stored file, read to its end. Raises CommandFailed."""
    try:
        with place.reading(path) as stream:
            found = Measured(stream, transfer)
            while found.read(1024 * 1024):
                pass
            return found
    except FileNotFoundError as error:
        raise CommandFailed(
            f"The store '{place.name}' has lost {path}.", "Push the backup there again."
        ) from error


def _put(place: Place, path: str, content: bytes) -> None:
    with place.writing(path) as stream:
        stream.write(content)


def _record_text(record: Record) -> bytes:
    """The proofs and whether it is held; where else copies are is nobody else's business."""
    return jsonfile.written(jsonfile.encode(replace(record, copies=()))).encode()


def _refresh_records(
    place: Place, target: str, local: Sequence[Backup], there: Sequence[copies.Copy]
) -> None:
    """Tell the store of later proofs and holds, which its retention goes by."""
    newest = {backup.id: backup.record for backup in local}
    for one in there:
        record = newest.get(one.id)
        if record is not None and replace(record, copies=()) != one.backup.record:
            where = copies.directory(target, one.id)
            place.publish(f"{where}/{RECORD}", _record_text(record))


async def _remember(
    backups: Store, backup: Backup, store: str, stored_bytes: int, problem: str = ""
) -> None:
    copied = Copied(store, datetime.now(UTC), stored_bytes, problem)
    await asyncio.to_thread(backups.change_record, backup, lambda record: record.with_copy(copied))
