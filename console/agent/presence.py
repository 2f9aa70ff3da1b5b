"""One agent to a state directory, and how others see that it runs: a lock and a small file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from console.backup import jsonfile
from console.backup.store import explained
from console.errors import ActionRefused

_LOCK, _STATUS = "agent.lock", "agent.json"


@dataclass(frozen=True, slots=True)
class Doing:
    """How a target was when the agent looked last."""

    verdict: str
    """ok, warning, failure or down."""
    words: str
    work: str = ""
    """What is being done to it now, e.g. a backup; '' for nothing."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What the agent says of itself, at every look."""

    pid: int
    version: str
    started: datetime
    seen: datetime
    every_seconds: float
    targets: dict[str, Doing] = field(default_factory=dict)
    running: bool = False
    """Its process holds the lock; filled in by whoever reads."""

    def is_late(self, now: datetime) -> bool:
        """It has not said anything for three looks and ten seconds more."""
        return (now - self.seen).total_seconds() > 3 * self.every_seconds + 10


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Be the one agent of a state directory. Raises ActionRefused while there is another."""
    with explained(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (directory / _LOCK).open("a+")
    with file:
        os.chmod(file.fileno(), 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise ActionRefused(
                f"An agent runs already (pid {holder}) with the state in {directory}.",
                "Stop it first, or give this one a state directory of its own.",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def write_presence(directory: Path, presence: Presence) -> None:
    """Raises OSError."""
    jsonfile.write(directory / _STATUS, jsonfile.encode(presence))


def read_presence(directory: Path) -> Presence | None:
    """What an agent said last, with whether it runs; None when there never was one."""
    try:
        found = jsonfile.decode(jsonfile.read(directory / _STATUS), Presence)
    except (OSError, ValueError):
        return None
    return replace(found, running=_is_held(directory / _LOCK))


def _is_held(path: Path) -> bool:
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
