"""A run on a target's backups that is no background job: one begun at a command line.

It tells nobody how far it is, but it holds the target's lock and writes a hidden directory, and
both can be seen by every console.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from console.backup.background import JobStatus
from console.backup.manifest import Record
from console.backup.store import Backup, Store
from console.errors import ConsoleError


@dataclass(frozen=True, slots=True)
class Elsewhere:
    pid: int
    since: datetime | None = None
    """When what it makes was begun; None while nothing is to be seen of it."""
    written_bytes: int = 0
    expected_bytes: int | None = None
    """As large as the newest backup was; None without one, and beyond that."""


def elsewhere(store: Store, target: str, job: JobStatus | None) -> Elsewhere | None:
    """What another process than the background `job` does to the target's backups, if any."""
    pid = store.running(target)
    if pid is None or (job is not None and job.running):
        return None
    partial = _newest_partial(store.directory(target))
    if partial is None:
        return Elsewhere(pid)
    written = 0
    # It is published or taken back whenever it is ready: what is gone by now counts nothing.
    with contextlib.suppress(OSError):
        written = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    expected = _expected(store, target)
    # A larger one than the last is not done before it is: its end is then not known.
    known = expected if expected is not None and expected > written else None
    return Elsewhere(pid, _begun(partial), written, known)


def _newest_partial(directory: Path) -> Path | None:
    found = sorted(directory.glob(".*.partial"))
    return found[-1] if found else None


def _begun(partial: Path) -> datetime:
    """By its id: the times of its files change while they are written."""
    identity = partial.name.removeprefix(".").removesuffix(".partial")
    return Backup(partial.with_name(identity), None, Record()).made_at


def _expected(store: Store, target: str) -> int | None:
    try:
        known = [backup.manifest for backup in store.backups(target) if backup.manifest]
    except ConsoleError:
        return None
    return known[0].bytes if known else None
