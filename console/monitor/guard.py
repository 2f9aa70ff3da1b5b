"""A question that takes too long is asked less often, and its last answer is marked as stale.

The limit follows pgcenter's: a quarter of the interval, and never below half a second.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from console.errors import ConnectionFailed, ConsoleError, ReadOnlyRefused, ServerUnsupported

Answer = TypeVar("Answer")

LEAST_LIMIT_SECONDS = 0.5
LIMIT_SHARE = 0.25
LONGEST_REST = 30
"""Ticks a question rests at most."""


@dataclass(frozen=True)
class Panel(Generic[Answer]):
    """The last answer of one question, how old it is, and what stands against a newer one."""

    answer: Answer | None
    at: datetime | None = None
    """When the answer was had."""
    is_stale: bool = False
    seconds: float = 0.0
    """How long the last asking took."""
    error: ConsoleError | None = None

    @property
    def remark(self) -> str:
        """'' while fresh."""
        if self.error is not None:
            return self.error.message
        if not self.is_stale or self.at is None:
            return ""
        return f"STALE, as of {self.at:%H:%M:%S} UTC: the question takes {self.seconds:.1f} s"


class Guard:
    """Asks questions by name for one tab, on each tick those that are due."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest: dict[str, int] = {}
        self._last: dict[str, Panel[Any]] = {}

    async def ask(
        self, name: str, interval: float, question: Callable[[], Awaitable[Answer]]
    ) -> Panel[Answer]:
        """The answer, or the last one while the question rests.

        `interval` is the tick's length in seconds. Raises ConnectionFailed and its kinds, as they
        concern the whole tab; any other ConsoleError is kept in the panel.
        """
        before: Panel[Answer] = self._last.get(name, Panel(None))
        if self._rest.get(name, 0) > 0:
            self._rest[name] -= 1
            resting = Panel(before.answer, before.at, True, before.seconds, before.error)
            self._last[name] = resting
            return resting
        started = self._clock()
        try:
            answer = await question()
        except (ConnectionFailed, ReadOnlyRefused, ServerUnsupported):
            raise
        except ConsoleError as error:
            panel = Panel(before.answer, before.at, True, self._clock() - started, error)
        else:
            panel = Panel(answer, datetime.now(UTC), False, self._clock() - started)
        self._rest[name] = rest_ticks(panel.seconds, interval)
        self._last[name] = panel
        return panel


def rest_ticks(seconds: float, interval: float) -> int:
    """Ticks to leave out after a question that took so long.

    >>> rest_ticks(0.4, 1.0), rest_ticks(0.8, 1.0), rest_ticks(5.0, 2.0), rest_ticks(600, 1)
    (0, 2, 10, 30)
    """
    limit = max(LIMIT_SHARE * interval, LEAST_LIMIT_SECONDS)
    if seconds <= limit:
        return 0
    return min(LONGEST_REST, math.ceil(seconds / limit))
