"""Hours, days and weeks for a tab's charts: the agent's history beside what the app saw itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from console.agent.past import SPANS, Past, read_past
from console.agent.presence import Presence
from console.target import Target
from screens.widgets.chart import Chart

READ_EVERY = timedelta(seconds=15)
MOST_POINTS = 300
"""More would not be seen in a chart, which is two dots to a cell wide."""
NO_HISTORY = "There is no history: `medianest-console agent` has never run here."

_NEVER = datetime.min.replace(tzinfo=UTC)


class PastLines:
    """Figures of the agent over a span that the operator chooses; None is what the app saw."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._past = Past(None, {})
        self._due = _NEVER
        self.span: timedelta | None = None

    @property
    def presence(self) -> Presence | None:
        """What the agent said last; None when there never was one here."""
        return self._past.presence

    async def refresh(self, target: Target) -> None:
        """Read the history again when it is time to. Raises ConsoleError."""
        now = datetime.now(UTC)
        if now >= self._due:
            self._past = await asyncio.to_thread(read_past, target, self._names, self.span, now)
            self._due = now + READ_EVERY

    def choose_next(self) -> bool:
        """Go on to the next span, after the longest to none; False when there is no history."""
        if self.presence is None:
            return False
        spans = (None, *SPANS)
        self.span = spans[(spans.index(self.span) + 1) % len(spans)]
        self._due = _NEVER
        return True

    def draw(self, name: str, chart: Chart, title: str = "") -> None:
        """Show a figure in a chart over the span."""
        assert self.span is not None
        bucket = int(self.span.total_seconds() / MOST_POINTS)
        chart.draw(self._past.lines.get(name, []), self.span, bucket, title)
