"""How far the receiver is, in a file that every console reads: receive.json."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from console.backup import jsonfile
from console.backup.store import explained
from console.pitr.archive import Archive
from console.pitr.names import lsn, lsn_text, reached
from queries.pitr import WalSample

_STATE = "receive.json"
_KEPT_GAPS = 100


@dataclass(frozen=True, slots=True)
class Gap:
    """WAL that was never received: what lies in it cannot be recovered to."""

    start: str
    end: str
    seen_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class ReceiverState:
    """Written once a second. Times are the server's."""

    pid: int
    started_at: datetime
    written_at: datetime
    phase: str
    """receiving, connecting, or waiting (then `problem` says why)."""
    problem: str = ""
    recovery_time: datetime | None = None
    """Everything that was committed before it is on this disk."""
    recovery_lsn: str = "0/0"
    """Everything before it is on this disk."""
    server_lsn: str = "0/0"
    timeline: int = 1
    slot_status: str = ""
    retained_bytes: int | None = None
    safe_bytes: int | None = None
    slot_limit_mb: int = -1
    gaps: tuple[Gap, ...] = ()
    """Oldest first."""

    @property
    def lag_bytes(self) -> int:
        return max(0, lsn(self.server_lsn) - lsn(self.recovery_lsn))


def path_of(archive: Archive) -> Path:
    return archive.directory / _STATE


def read_state(archive: Archive) -> ReceiverState | None:
    """What the receiver said last; None when it never ran, or its file is damaged."""
    try:
        return jsonfile.decode(jsonfile.read(path_of(archive)), ReceiverState)
    except (OSError, ValueError):
        return None


def write_state(archive: Archive, state: ReceiverState) -> None:
    """Raises CommandFailed."""
    with explained(archive.directory):
        jsonfile.write(path_of(archive), jsonfile.encode(state))


@dataclass(slots=True)
class Progress:
    """Turns samples into a recovery point that never goes back within a stretch.

    A sample says: what was committed by `at` is before `insert_lsn`. Once so much is flushed here,
    the recovery point is `at`.
    """

    state: ReceiverState
    before: str | None = None
    """The slot's position before streaming began: a slot made anew has received nothing."""
    _waiting: deque[tuple[datetime, int]] = field(default_factory=deque)

    def take(self, sample: WalSample) -> None:
        self._waiting.append((sample.at, lsn(sample.insert_lsn)))
        told = sample.restart_lsn if sample.restart_lsn != self.before else None
        flushed = max(lsn(told or "0/0"), lsn(self.state.recovery_lsn))
        at = self.state.recovery_time
        while self._waiting and reached(flushed, self._waiting[0][1]):
            at = self._waiting.popleft()[0]
        self.state = replace(
            self.state,
            written_at=sample.at,
            recovery_time=at,
            recovery_lsn=lsn_text(flushed),
            server_lsn=sample.insert_lsn,
            timeline=int(sample.timeline, 16),
            slot_status=sample.wal_status or "",
            retained_bytes=sample.retained_bytes,
            safe_bytes=sample.safe_bytes,
            slot_limit_mb=sample.slot_limit_mb,
        )

    def begin_anew(self, gap: Gap) -> None:
        """After a gap nothing is received yet."""
        self._waiting.clear()
        gaps = (*self.state.gaps, gap)[-_KEPT_GAPS:]
        self.state = replace(self.state, recovery_lsn="0/0", recovery_time=None, gaps=gaps)

    def forget_samples(self) -> None:
        """A server that came back after a crash may have written its last WAL anew."""
        self._waiting.clear()
