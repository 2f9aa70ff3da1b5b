"""Which statements take the time: what pg_stat_statements counted, and what it counted lately.

A statement's change is told only where it is certain: never after a reset, never negative.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.monitor.own import is_own
from queries.timings import Counters, Ledger

HISTORY = timedelta(minutes=5)
MOST_LED = 100
"""Statements a figure brings into a list that would else be thousands long."""

Key = tuple[int, int, bool]
"""Statement id, role, and whether it was sent by a client rather than run inside a function."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of the book."""

    at: datetime
    counters: Sequence[Counters]
    ledger: Ledger | None


@dataclass(frozen=True, slots=True)
class Change:
    """What was added to a statement's counters in the last interval, of `seconds`."""

    seconds: float
    calls: int
    rows: int
    total_ms: float

    @property
    def calls_per_second(self) -> float:
        return self.calls / self.seconds

    @property
    def mean_ms(self) -> float | None:
        return self.total_ms / self.calls if self.calls else None

    @property
    def busy(self) -> float:
        """Seconds of execution a second: 1.0 keeps one session busy all the time."""
        return self.total_ms / 1000 / self.seconds


@dataclass(frozen=True, slots=True)
class Timing:
    """A statement with its totals, and its change where that can be said."""

    counters: Counters
    text: str | None
    role: str
    share: float
    """Of the execution time of all statements shown."""
    change: Change | None

    @property
    def key(self) -> str:
        return f"{self.counters.id}/{self.counters.user_id}/{self.counters.is_toplevel}"

    @property
    def mean_ms(self) -> float:
        return self.counters.total_ms / self.counters.calls


@dataclass(frozen=True, slots=True)
class Point:
    """One interval of one statement."""

    at: datetime
    calls_per_second: float
    mean_ms: float | None
    """None when it was not called."""


def key_of(counters: Counters) -> Key | None:
    """None for a statement that the role may not see."""
    if counters.id is None:
        return None
    return counters.id, counters.user_id, counters.is_toplevel


class TimingsHistory:
    """The last two readings, and the last minutes of every statement that was called."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.changes: Mapping[Key, Change] = {}
        self.notices: deque[str] = deque(maxlen=3)
        """Resets and evictions as they were noticed, oldest first."""
        self._intervals: deque[datetime] = deque()
        self._points: dict[Key, deque[Point]] = {}

    def add(self, snapshot: Snapshot) -> None:
        before, self.snapshot = self.snapshot, snapshot
        if before is None:
            return
        self.notices.extend(notices(before, snapshot))
        self.changes = changes(before, snapshot)
        if was_reset(before, snapshot):
            self._intervals.clear()
            self._points.clear()
            return
        self._remember(snapshot.at)

    def _remember(self, at: datetime) -> None:
        self._intervals.append(at)
        while self._intervals[0] < at - HISTORY:
            self._intervals.popleft()
        for key, change in self.changes.items():
            if change.calls:
                points = self._points.setdefault(key, deque())
                points.append(Point(at, change.calls_per_second, change.mean_ms))
        for key, points in list(self._points.items()):
            while points and points[0].at < self._intervals[0]:
                points.popleft()
            if not points:
                del self._points[key]

    def points(self, key: Key) -> list[Point]:
        """Every interval remembered; those without a call have zero calls a second."""
        called = {point.at: point for point in self._points.get(key, ())}
        return [called.get(at, Point(at, 0.0, None)) for at in self._intervals]


def was_reset(before: Snapshot, now: Snapshot) -> bool:
    """Told by the book itself (14+); else by most counters having gone back or gone."""
    if before.ledger is not None and now.ledger is not None:
        return before.ledger.reset_at != now.ledger.reset_at
    then = {key_of(c): c.calls for c in before.counters}
    later = {key_of(c): c.calls for c in now.counters}
    lost = sum(later.get(key, 0) < calls for key, calls in then.items())
    return bool(then) and lost > len(then) / 2


def notices(before: Snapshot, now: Snapshot) -> Iterable[str]:
    if was_reset(before, now):
        yield f"Counters were reset at about {now.at:%H:%M:%S} UTC; changes are counted anew."
        return
    if before.ledger is not None and now.ledger is not None:
        evictions = now.ledger.evictions - before.ledger.evictions
        if evictions > 0:
            yield (
                f"The book was full at {now.at:%H:%M:%S} UTC: rare statements were thrown out;"
                " raise pg_stat_statements.max."
            )


def changes(before: Snapshot, now: Snapshot) -> dict[Key, Change]:
    """Per statement; those whose change cannot be told are left out."""
    seconds = (now.at - before.at).total_seconds()
    if seconds <= 0 or was_reset(before, now):
        return {}
    then = {key: c for c in before.counters if (key := key_of(c)) is not None}
    found = {}
    for counters in now.counters:
        key = key_of(counters)
        if key is not None:
            change = _change(then.get(key), counters, seconds)
            if change is not None:
                found[key] = change
    return found


def _change(before: Counters | None, now: Counters, seconds: float) -> Change | None:
    if before is None or before.since != now.since:
        # It was first counted, or counted again after an eviction, in this interval.
        return Change(seconds, now.calls, now.rows, now.total_ms)
    calls, rows = now.calls - before.calls, now.rows - before.rows
    total_ms = now.total_ms - before.total_ms
    if min(calls, rows, total_ms) < 0:
        return None
    return Change(seconds, calls, rows, total_ms)


def timings(
    history: TimingsHistory, texts: Mapping[int, str], roles: Mapping[int, str], *, own: bool
) -> list[Timing]:
    """Every statement the role may see, most time first; without `own` not the console's."""
    if history.snapshot is None:
        return []
    shown = [
        (key, counters)
        for counters in history.snapshot.counters
        if (key := key_of(counters)) is not None and (own or not is_own(texts.get(key[0])))
    ]
    total = sum(counters.total_ms for _key, counters in shown) or 1.0
    found = [
        Timing(
            counters,
            texts.get(key[0]),
            roles.get(key[1], str(key[1])),
            counters.total_ms / total,
            history.changes.get(key),
        )
        for key, counters in shown
    ]
    return sorted(found, key=lambda timing: timing.counters.total_ms, reverse=True)


def leading(found: Sequence[Timing], most: int = MOST_LED) -> list[Timing]:
    """The first `most` by each figure a person would sort by; all where there are few."""
    if len(found) <= 2 * most:
        return list(found)
    kept: dict[str, Timing] = {}
    for figure in _FIGURES:
        for timing in sorted(found, key=figure, reverse=True)[:most]:
            kept[timing.key] = timing
    return list(kept.values())


_FIGURES: tuple[Callable[[Timing], float], ...] = (
    lambda t: t.counters.total_ms,
    lambda t: t.mean_ms,
    lambda t: t.counters.max_ms,
    lambda t: t.counters.calls,
    lambda t: t.change.calls if t.change else 0,
    lambda t: t.change.total_ms if t.change else 0.0,
    lambda t: t.counters.rows,
    lambda t: t.counters.read_bytes,
    lambda t: t.counters.dirtied_bytes,
    lambda t: t.counters.temp_written_bytes,
    lambda t: t.counters.wal_bytes,
    lambda t: t.counters.plan_ms,
)


def hidden_statements(snapshot: Snapshot) -> int:
    """Statements of other roles that this role may not see."""
    return sum(counters.id is None for counters in snapshot.counters)
