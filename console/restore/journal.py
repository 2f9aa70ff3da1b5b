"""The journal of one restore: what was about to be done and what was done, durable before going on.

A directory holds options.json (no password), journal.jsonl, progress.json, log and lock. Each entry
is written and fsynced before the next thing happens, so whatever kills the process, the journal
says at most one step less than what was done. Nothing of it lives in the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from console.backup import jsonfile
from console.backup.store import explained
from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.settings import state_directory

OPTIONS = "options.json"
ENTRIES = "journal.jsonl"
PROGRESS = "progress.json"
LOG = "log"
LOCK = "lock"
_LOCK_TRIES = 10
_LOCK_PAUSE_SECONDS = 0.01


class Event(StrEnum):
    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    NOTE = "note"
    """Something worth keeping that is no step: a warning, a number."""


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    step: str
    event: Event
    seconds: float | None = None
    """Of a done or failed step."""
    data: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Appends entries durably. One process writes (see `lock`); any process may read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def entries(self) -> tuple[Entry, ...]:
        return read_entries(self.directory)

    def append(self, step: str, event: Event, seconds: float | None = None, **data: Any) -> None:
        """Write one entry and wait until it is on the disk. Raises CommandFailed."""
        record = {
            "at": datetime.now(UTC).isoformat(),
            "step": step,
            "event": str(event),
            "seconds": None if seconds is None else round(seconds, 4),
            "data": data,
        }
        line = json.dumps(record, ensure_ascii=False) + "\n"
        path = self.directory / ENTRIES
        with explained(self.directory):
            fresh = not path.exists()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if not fresh and not _ends_a_line(descriptor):
                    line = "\n" + line
                _write_whole(descriptor, line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if fresh:
                jsonfile.sync_directory(self.directory)

    def note(self, step: str, **data: Any) -> None:
        self.append(step, Event.NOTE, **data)

    @contextmanager
    def step(self, name: str, **intent: Any) -> Iterator[dict[str, Any]]:
        """Journal a step around the block; what the block puts into the dict goes with `done`."""
        self.append(name, Event.INTENT, **intent)
        began = time.monotonic()
        made: dict[str, Any] = {}
        try:
            yield made
        except BaseException as error:
            # On a full disk even this cannot be kept: what failed first is what counts.
            with contextlib.suppress(CommandFailed):
                self.append(name, Event.FAILED, time.monotonic() - began, **reason_of(error))
            raise
        self.append(name, Event.DONE, time.monotonic() - began, **made)

    def show(self, **progress: Any) -> None:
        """What a watcher may see of the step at work; not durable, and never a reason to fail."""
        path = self.directory / PROGRESS
        partial = path.with_suffix(".partial")
        with contextlib.suppress(OSError):
            partial.write_text(json.dumps(progress), encoding="utf-8")
            partial.replace(path)


def _write_whole(descriptor: int, content: bytes) -> None:
    if os.write(descriptor, content) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _ends_a_line(descriptor: int) -> bool:
    """Whether the file ends with a whole line: a killed writer may have left a piece."""
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def reason_of(error: BaseException) -> dict[str, str]:
    """What an error tells a person, fit for a journal."""
    if isinstance(error, ConsoleError):
        return {"message": error.message, "hint": error.hint}
    if isinstance(error, asyncio.CancelledError):
        return {"message": "It was stopped.", "hint": ""}
    return {"message": f"{type(error).__name__}: {error}".rstrip(": ") + ".", "hint": ""}


def read_entries(directory: Path) -> tuple[Entry, ...]:
    """Every whole entry, oldest first; a piece that a killed writer left is passed over."""
    try:
        text = (directory / ENTRIES).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise CommandFailed(
            f"The journal in {directory} cannot be read: {error.strerror}.",
            "Run the console as the user who began the restore.",
        ) from error
    return tuple(entry for line in text.splitlines() if (entry := _entry(line)) is not None)


def _entry(line: str) -> Entry | None:
    try:
        record = json.loads(line)
        return Entry(
            datetime.fromisoformat(record["at"]),
            record["step"],
            Event(record["event"]),
            record["seconds"],
            record["data"],
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def read_progress(directory: Path) -> dict[str, Any]:
    try:
        shown = json.loads((directory / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return shown if isinstance(shown, dict) else {}


def restores_directory() -> Path:
    return state_directory() / "restores"


def create(name: str) -> Path:
    """A new private directory for a restore, in order of making. Raises CommandFailed."""
    root = restores_directory()
    with explained(root):
        missing = [path for path in (root, *root.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        directory = root / name
        directory.mkdir(mode=0o700)
        jsonfile.sync_directory(root)
    return directory


def all_restores() -> tuple[Path, ...]:
    """The directory of every restore that is remembered, the newest first."""
    root = restores_directory()
    with explained(root):
        if not root.is_dir():
            return ()
        found = [path for path in root.iterdir() if (path / OPTIONS).exists()]
    return tuple(sorted(found, key=lambda path: path.name, reverse=True))


@dataclass(frozen=True, slots=True)
class Locks:
    """Open descriptors whose locks the kernel drops when the last process that has them ends."""

    target: int
    journal: int

    def close(self) -> None:
        os.close(self.target)
        os.close(self.journal)


def take_locks(directory: Path, system_identifier: str, database: str) -> Locks:
    """Claim the target for this restore. Raises ActionRefused when another restore has it."""
    key = sha256(f"{system_identifier}/{database}".encode()).hexdigest()[:24]
    target = _locked(restores_directory() / f".lock-{key}", database)
    try:
        own = _locked(directory / LOCK, database)
    except BaseException:
        os.close(target)
        raise
    # Whose number it held is no more, and may be another process's by now.
    os.ftruncate(own, 0)
    return Locks(target, own)


def _locked(path: Path, database: str) -> int:
    with explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        # A reader that looks whether the lock is held holds it itself for a moment.
        time.sleep(_LOCK_PAUSE_SECONDS)
    os.close(descriptor)
    raise ActionRefused(
        f"A restore of '{database}' is already running.",
        "Watch it with `restore status`, or stop it with `restore abort`.",
    )


def write_pid(locks: Locks) -> None:
    """Say who runs the restore, for `abort`."""
    os.pwrite(locks.journal, f"{os.getpid()}\n".encode(), 0)


def running_pid(directory: Path) -> int | None:
    """The process that runs this restore: 0 when it is just starting, None when none does."""
    path = directory / LOCK
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = path.read_text(encoding="utf-8").strip()
        return int(text) if text.isdigit() else 0
    except OSError:
        return None
    return None
