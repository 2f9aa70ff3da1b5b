"""What working sessions wait for, over the last minutes, in four groups.

Every look counts the sessions at work: on the processor (no wait), reading or writing (IO), for
each other (Lock), or for something else. Their average is the load in sessions.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from queries.activity import Backend

HISTORY = timedelta(minutes=5)


class Group(StrEnum):
    CPU = "CPU"
    IO = "IO"
    LOCK = "Lock"
    OTHER = "other"


_GROUPS = {"IO": Group.IO, "Lock": Group.LOCK, "LWLock": Group.LOCK, "BufferPin": Group.LOCK}
"""BufferPin is waiting for another session's pin; LWLocks guard the server's own memory."""


def group_of(wait_class: str | None) -> Group:
    if wait_class is None:
        return Group.CPU
    return _GROUPS.get(wait_class, Group.OTHER)


@dataclass(frozen=True, slots=True)
class Look:
    at: datetime
    events: Counter[tuple[str | None, str | None]]
    """Sessions at work by (class, event)."""

    def in_group(self, group: Group) -> int:
        return sum(n for (kind, _event), n in self.events.items() if group_of(kind) is group)


@dataclass(frozen=True, slots=True)
class EventLoad:
    """One wait event over all looks kept."""

    group: Group
    wait_class: str
    event: str
    sessions: float
    """At it, on average."""
    now: int
    share: float

    @property
    def key(self) -> str:
        return f"{self.wait_class}/{self.event}"


def look(backends: Iterable[Backend], at: datetime) -> Look:
    """Sessions and workers at work; idle ones, in a transaction or not, are not."""
    at_work = (backend for backend in backends if backend.state == "active")
    return Look(at, Counter((b.wait_class, b.wait_event) for b in at_work))


class WaitHistory:
    def __init__(self) -> None:
        self.looks: deque[Look] = deque()

    def add(self, latest: Look) -> None:
        self.looks.append(latest)
        while self.looks[0].at < latest.at - HISTORY:
            self.looks.popleft()

    def load(self, group: Group) -> float:
        """Sessions of a group, on average."""
        if not self.looks:
            return 0.0
        return sum(past.in_group(group) for past in self.looks) / len(self.looks)

    def series(self, group: Group, slots: int) -> list[float | None]:
        """The average of each of `slots` equal parts of HISTORY, oldest first; None: no look."""
        if not self.looks:
            return [None] * slots
        end = self.looks[-1].at
        width = HISTORY / slots
        sums: list[list[int]] = [[] for _ in range(slots)]
        for past in self.looks:
            slot = slots - 1 - int((end - past.at) / width)
            if 0 <= slot < slots:
                sums[slot].append(past.in_group(group))
        return [sum(found) / len(found) if found else None for found in sums]

    def events(self) -> list[EventLoad]:
        """Most sessions first."""
        totals: Counter[tuple[str | None, str | None]] = Counter()
        for past in self.looks:
            totals.update(past.events)
        everything = sum(totals.values()) or 1
        latest = self.looks[-1].events if self.looks else Counter()
        return [
            EventLoad(
                group_of(kind),
                kind or "CPU",
                event or "running",
                number / len(self.looks),
                latest[kind, event],
                number / everything,
            )
            for (kind, event), number in totals.most_common()
        ]


def gaps_filled(values: Sequence[float | None]) -> list[float | None]:
    """A slot without a look takes the last value, as looks may be rarer than slots.

    >>> gaps_filled([None, 1.0, None, 0.0])
    [None, 1.0, 1.0, 0.0]
    """
    filled: list[float | None] = []
    last: float | None = None
    for value in values:
        last = value if value is not None else last
        filled.append(last)
    return filled
