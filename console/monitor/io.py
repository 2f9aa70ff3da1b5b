"""What the server reads and writes: by whom (16+), to the WAL (14+), and at checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from console import units
from console.session import Session
from queries.io import SERVER_IO, WRITING, IoCounters, Writing

FORCED_SHARE = 0.5
"""Above this share of forced checkpoints, max_wal_size is too small for the load."""


@dataclass(frozen=True, slots=True)
class IoSample:
    at: datetime
    io: tuple[IoCounters, ...] | None
    """None up to 15, which do not count it."""
    writing: Writing


@dataclass(frozen=True, slots=True)
class IoLine:
    """One kind of process and I/O: since statistics were reset, and a second of late."""

    counters: IoCounters
    read_rate: float | None
    """Bytes a second; None before the second look, and after a reset."""
    write_rate: float | None

    @property
    def key(self) -> str:
        return f"{self.counters.backend}/{self.counters.object}/{self.counters.context}"

    @property
    def written(self) -> int:
        return self.counters.write_bytes + self.counters.extend_bytes


async def read_io(session: Session) -> IoSample:
    """Raises ConsoleError kinds."""
    writing = await session.fetch_one(WRITING)
    server = session.server
    if server is None or server.major < 16:
        return IoSample(writing.at, None, writing)
    return IoSample(datetime.now(UTC), tuple(await session.fetch(SERVER_IO)), writing)


def lines(before: IoSample | None, now: IoSample) -> list[IoLine]:
    """Most bytes first."""
    then = {_key(c): c for c in (before.io if before and before.io else ())}
    seconds = (now.at - before.at).total_seconds() if before else 0.0
    found = []
    for counters in now.io or ():
        earlier = then.get(_key(counters))
        reads = writes = None
        if earlier is not None and seconds > 0 and earlier.reset_at == counters.reset_at:
            reads = (counters.read_bytes - earlier.read_bytes) / seconds
            written = counters.write_bytes + counters.extend_bytes
            writes = (written - earlier.write_bytes - earlier.extend_bytes) / seconds
            if min(reads, writes) < 0:
                reads = writes = None
        found.append(IoLine(counters, reads, writes))
    return sorted(found, key=lambda line: line.counters.read_bytes + line.written, reverse=True)


def _key(counters: IoCounters) -> tuple[str, str, str]:
    return counters.backend, counters.object, counters.context


def remarks(before: Writing | None, now: Writing) -> list[tuple[str, str]]:
    """WAL and checkpoints as (what, figures)."""
    window = "" if now.reset_at is None else f", counted since {now.reset_at:%Y-%m-%d %H:%M} UTC"
    total = now.checkpoints_timed + now.checkpoints_requested
    forced = now.checkpoints_requested / total if total else 0.0
    found = [
        (
            "checkpoints",
            f"{units.count(now.checkpoints_timed)} by time ({now.checkpoint_timeout}),"
            f" {units.count(now.checkpoints_requested)} forced{window}",
        ),
        (
            "took",
            f"writing {units.duration(now.write_ms / 1000)},"
            f" syncing {units.duration(now.sync_ms / 1000)}",
        ),
        ("wrote", _who_wrote(now)),
    ]
    if now.wal_bytes is not None:
        rate = _wal_rate(before, now)
        found.append(
            (
                "WAL",
                f"{units.size(now.wal_bytes)}"
                + (f", {units.size(int(rate))}/s now" if rate is not None else "")
                + f"; {units.count(now.wal_full_pages)} full pages,"
                f" buffers full {units.count(now.wal_buffers_full)} times",
            )
        )
    if total >= 10 and forced > FORCED_SHARE:
        found.append(
            (
                "remark",
                f"{units.percent(round(forced, 2))} of the checkpoints are forced: raise"
                f" max_wal_size ({now.max_wal_size}).",
            )
        )
    return found


def _who_wrote(now: Writing) -> str:
    parts = [
        f"checkpoints {units.count(now.checkpoint_buffers)} blocks",
        f"background writer {units.count(now.cleaner_buffers)}",
    ]
    if now.backend_buffers is not None:
        parts.append(f"sessions themselves {units.count(now.backend_buffers)}")
    return ", ".join(parts)


def _wal_rate(before: Writing | None, now: Writing) -> float | None:
    if before is None or before.wal_bytes is None or now.wal_bytes is None:
        return None
    seconds = (now.at - before.at).total_seconds()
    added = now.wal_bytes - before.wal_bytes
    return added / seconds if seconds > 0 and added >= 0 else None


def absent(sample: IoSample, major: int) -> Sequence[str]:
    """What this server does not tell."""
    missing = []
    if sample.io is None:
        missing.append(f"PostgreSQL {major} does not count I/O by who does it; 16 and later do.")
    if sample.writing.wal_bytes is None:
        missing.append(f"PostgreSQL {major} does not count WAL; 14 and later do.")
    return missing
