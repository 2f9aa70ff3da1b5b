"""Which statements take the time, where nobody counts them: by looking often who is at work.

A session seen at work stands for the time since the last look. What runs between two looks is not
seen; so these figures are sampled, and say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.statements import without_literals
from queries.activity import Backend

FORGET_AFTER = timedelta(minutes=15)
MOST_KEPT = 1_000
LONGEST_GAP_SECONDS = 10.0
"""A longer pause between two looks counts as this much."""

_NUMBER = re.compile(r"(?<![\w$.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LIST = re.compile(r"\((?:\s*[?…'$\d]+\s*,)+\s*[?…'$\d]+\s*\)")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class SampledStatement:
    text: str
    """Without literals."""
    role: str
    looks: int
    """In how many looks it was seen; with two sessions at it, two a look."""
    seconds: float
    """Estimated time it took."""
    share: float
    longest_seconds: float
    """The longest that one run was seen to take."""
    last_seen: datetime

    @property
    def key(self) -> str:
        return f"{self.role}\0{self.text}"


class SampledTimings:
    """Looks at the sessions, one after the other."""

    def __init__(self) -> None:
        self.began: datetime | None = None
        self.looks = 0
        self._last: datetime | None = None
        self._found: dict[tuple[str, str], SampledStatement] = {}

    def add(self, backends: Iterable[Backend], at: datetime) -> None:
        """A look at what is at work; the first one only starts the clock."""
        seconds = (at - self._last).total_seconds() if self._last else 0.0
        seconds = min(max(seconds, 0.0), LONGEST_GAP_SECONDS)
        self._last, self.began = at, self.began or at
        self.looks += 1
        for backend in backends:
            if _is_at_work(backend):
                self._count(backend, seconds, at)
        self._forget(at)

    def _count(self, backend: Backend, seconds: float, at: datetime) -> None:
        text, role = normalised(backend.query or ""), backend.role or ""
        seen = self._found.get((role, text))
        longest = max(backend.query_seconds or 0.0, seen.longest_seconds if seen else 0.0)
        self._found[role, text] = SampledStatement(
            text,
            role,
            (seen.looks if seen else 0) + 1,
            (seen.seconds if seen else 0.0) + seconds,
            0.0,
            longest,
            at,
        )

    def _forget(self, at: datetime) -> None:
        if len(self._found) > MOST_KEPT:
            newest = sorted(self._found.items(), key=lambda item: item[1].last_seen)[-MOST_KEPT:]
            self._found = dict(newest)
        for key, seen in list(self._found.items()):
            if seen.last_seen < at - FORGET_AFTER:
                del self._found[key]

    @property
    def statements(self) -> list[SampledStatement]:
        """Most time first."""
        total = sum(seen.seconds for seen in self._found.values()) or 1.0
        found = [
            SampledStatement(
                seen.text,
                seen.role,
                seen.looks,
                seen.seconds,
                seen.seconds / total,
                seen.longest_seconds,
                seen.last_seen,
            )
            for seen in self._found.values()
        ]
        return sorted(found, key=lambda seen: seen.seconds, reverse=True)


def _is_at_work(backend: Backend) -> bool:
    """A client's statement that runs; its parallel workers are part of it."""
    return backend.state == "active" and backend.kind == "client backend" and bool(backend.query)


def normalised(text: str) -> str:
    """A statement without its literals, so that its runs count as one.

    >>> normalised("SELECT *\\n FROM t  WHERE a = 12 AND b IN (1, 2, 3) AND c = 'x'")
    "SELECT * FROM t WHERE a = ? AND b IN (?) AND c = '…'"
    """
    without = _NUMBER.sub("?", without_literals(text))
    return _LIST.sub("(?)", _SPACE.sub(" ", without).strip())
