"""Backup work in a process of its own: it outlives the session that began it, and all can watch.

What it is doing is in `.job.json` in the target's directory; the lock beside it is held while it
runs, so whoever reads knows whether it still does. The order comes through standard input, so that
no password is in a file, an argument or the environment.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from console.backup import jsonfile
from console.backup.dump import Progress
from console.backup.job import Job, carry_out
from console.backup.store import Store, explained
from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.settings import Settings
from console.target import Target

_STATUS = ".job.json"
_LOCK = ".job.lock"
_LOG = ".job.log"
_WRITE_SECONDS = 0.5
_BEGIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a background job is, or how the last one ended."""

    kind: str
    pid: int
    started_at: datetime
    phase: str
    table: str = ""
    done_bytes: int = 0
    expected_bytes: int | None = None
    ended_at: datetime | None = None
    backup: str | None = None
    """The id of the backup it made or proved."""
    error: str | None = None
    running: bool = False
    """Its process is alive; False for one that ended, or was killed before it could say so."""

    @property
    def was_killed(self) -> bool:
        return not self.running and self.ended_at is None


def status(store: Store, target: str) -> JobStatus | None:
    """The job that runs for a target, or the last one; None when there never was one."""
    directory = store.directory(target)
    try:
        found = jsonfile.decode(jsonfile.read(directory / _STATUS), JobStatus)
    except (OSError, ValueError):
        return None
    return replace(found, running=_is_held(directory / _LOCK))


async def start(target: Target, settings: Settings, job: Job) -> JobStatus:
    """Begin a job in a process of its own. Raises ActionRefused while another one runs."""
    store = Store(settings.backups.directory)
    before = status(store, target.name)
    if before is not None and before.running:
        raise ActionRefused(
            f"A {before.kind} is at work on these backups (pid {before.pid}).",
            "Wait until it ends, or stop it.",
        )
    directory = store.claim(target.name)
    order = pickle.dumps((target, settings, job))
    await asyncio.to_thread(_launch, directory, order)
    deadline = time.monotonic() + _BEGIN_SECONDS
    while time.monotonic() < deadline:
        now = status(store, target.name)
        if now is not None and (before is None or now.started_at > before.started_at):
            return now
        await asyncio.sleep(0.05)
    raise CommandFailed(
        "The background process did not begin its work.", f"Read its log, {directory / _LOG}."
    )


def stop(store: Store, target: str) -> None:
    """Ask the running job to end; what it has begun it takes back. Raises ActionRefused."""
    found = status(store, target)
    if found is None or not found.running:
        raise ActionRefused("Nothing is at work on these backups.", "There is nothing to stop.")
    os.kill(found.pid, signal.SIGTERM)


def _launch(directory: Path, order: bytes) -> None:
    with explained(directory):
        log = os.open(directory / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(log, "wb") as output:
        # The child forks again at once, so it is no child of ours and never a zombie.
        subprocess.run(
            [sys.executable, "-m", "console.backup.background", str(directory)],
            input=order,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=True,
        )


def _is_held(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("a+") as file:
        os.chmod(file.fileno(), 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


class _Teller:
    """Writes the status, not more often than anybody looks."""

    def __init__(self, directory: Path, job: Job) -> None:
        self._path = directory / _STATUS
        self._written = 0.0
        self.now = JobStatus(job.kind, os.getpid(), datetime.now(UTC), "starting")
        self.write()

    def __call__(self, progress: Progress) -> None:
        changed = progress.phase != self.now.phase
        self.now = replace(
            self.now,
            phase=progress.phase,
            table=progress.table,
            done_bytes=progress.done_bytes,
            expected_bytes=progress.expected_bytes,
        )
        if changed or time.monotonic() - self._written >= _WRITE_SECONDS:
            self.write()

    def end(self, *, backup: str | None = None, error: str | None = None) -> None:
        self.now = replace(self.now, ended_at=datetime.now(UTC), backup=backup, error=error)
        self.write()

    def write(self) -> None:
        self._written = time.monotonic()
        jsonfile.write(self._path, jsonfile.encode(self.now))


async def _work(directory: Path, target: Target, settings: Settings, job: Job) -> None:
    teller = _Teller(directory, job)
    task = asyncio.ensure_future(carry_out(job, target, settings, teller))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        backup = await task
    except asyncio.CancelledError:
        teller.end(error="It was stopped.")
    except ConsoleError as error:
        teller.end(error=str(error))
    else:
        teller.end(backup=backup.id)


def main() -> None:
    """The process itself: `python -m console.backup.background DIRECTORY`, the order on stdin."""
    directory = Path(sys.argv[1])
    target, settings, job = pickle.loads(sys.stdin.buffer.read())
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with _held(directory / _LOCK):
        asyncio.run(_work(directory, target, settings, job))


if __name__ == "__main__":
    main()
