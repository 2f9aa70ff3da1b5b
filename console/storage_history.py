"""How large a database and its tables were: one small file a database in the state directory.

Each line is a JSON object {at, bytes, free, tables}; nothing but names of tables and sizes. Lines
that cannot be read are passed over: a half-written one must not take the others with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from console.errors import CommandFailed

APART = timedelta(hours=6)
"""A size is written down when the last one is older."""
KEPT = 1000
"""Lines; with four a day more than half a year."""


@dataclass(frozen=True, slots=True)
class Measured:
    at: datetime
    bytes: int
    """The database's size."""
    free: int | None = None
    """Left on the data directory's disk, where it can be seen."""
    tables: Mapping[str, int] = field(default_factory=dict)
    """The largest ones, by name, in bytes."""


def read_history(path: Path) -> list[Measured]:
    """What was written down, the oldest first; nothing where there is no file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(
            f"The history of sizes in {path} cannot be read.", "Move the file away."
        ) from error
    found = [measured for line in lines if (measured := _parsed(line)) is not None]
    return sorted(found, key=lambda measured: measured.at)


def _parsed(line: str) -> Measured | None:
    try:
        document = json.loads(line)
        return Measured(
            datetime.fromisoformat(document["at"]).astimezone(UTC),
            int(document["bytes"]),
            None if document["free"] is None else int(document["free"]),
            {str(name): int(amount) for name, amount in document["tables"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def remember(path: Path, history: Sequence[Measured], now: Measured) -> None:
    """Write `now` down unless the last one is recent. Raises CommandFailed when it cannot be."""
    if history and now.at - history[-1].at < APART:
        return
    kept = [*history, now][-KEPT:]
    text = "".join(
        json.dumps({**asdict(one), "at": one.at.isoformat()}, ensure_ascii=False) + "\n"
        for one in kept
    )
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        partial.replace(path)
    except OSError as error:
        raise CommandFailed(
            f"The history of sizes in {path} cannot be written ({error.strerror}).",
            "Check the permissions and the room of the state directory.",
        ) from error


@dataclass(frozen=True, slots=True)
class Growth:
    """What a span of the history says about every day of it."""

    days: float
    bytes_per_day: float
    tables: tuple[tuple[str, float], ...] = ()
    """Bytes a day by table, what grows most first."""

    def fills_at(self, now: datetime, free: int) -> datetime | None:
        """When `free` bytes are used up; None when nothing grows, or not within a century."""
        if self.bytes_per_day <= 0 or free / self.bytes_per_day > 36_500:
            return None
        return now + timedelta(days=free / self.bytes_per_day)


def growth(history: Sequence[Measured], window: timedelta = timedelta(days=30)) -> Growth | None:
    """From the first to the last size of the window; None when they are less than a day apart."""
    if not history:
        return None
    last = history[-1]
    first = next(one for one in history if last.at - one.at <= window)
    days = (last.at - first.at).total_seconds() / 86400
    if days < 1:
        return None
    tables = sorted(
        (
            (name, (amount - first.tables[name]) / days)
            for name, amount in last.tables.items()
            if name in first.tables
        ),
        key=lambda pair: -pair[1],
    )
    return Growth(days, (last.bytes - first.bytes) / days, tuple(tables))
