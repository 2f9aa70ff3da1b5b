"""Line charts of the last minutes, drawn by plotext; the only module that knows plotext."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import zip_longest

from rich.text import Text
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.visual import Visual, visualize
from textual_plotext import PlotextPlot

BUCKET_SECONDS = 5
"""Points are averaged over this long, so that a chart moves this seldom."""


SMALLEST_HEIGHT = 8
"""Below this the labels of the axis run into each other: nothing is drawn."""


class Chart(PlotextPlot):
    """One line over time, the newest value at the right edge; only changed lines are sent."""

    def __init__(self, title: str, *, id: str) -> None:
        super().__init__(id=id, classes="chart")
        self._own_title = self._title = title
        self._points: list[tuple[float, float]] | None = None
        self._seconds = 0.0
        self._lines: list[Text] = []
        self._lines_size = Size()
        self._strips: dict[int, Strip] = {}
        """The lines that were on the screen, laid out for it."""

    def draw(
        self,
        values: Iterable[tuple[datetime, float]],
        length: timedelta,
        bucket: int = BUCKET_SECONDS,
        title: str = "",
    ) -> None:
        """Show the values of the last `length`, in time order, averaged over `bucket` seconds.

        `title` is what they are, where that is not what the chart was made for.
        """
        seconds = length.total_seconds()
        points = buckets(values, bucket)
        title = title or self._own_title
        if (points, seconds, title) == (self._points, self._seconds, self._title):
            return
        self._points, self._seconds, self._title = points, seconds, title
        self._plan(seconds)
        before, self._lines = self._lines, self._built()
        changed = {y for y, (old, new) in enumerate(zip_longest(before, self._lines)) if old != new}
        self._strips = {y: strip for y, strip in self._strips.items() if y not in changed}
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _plan(self, seconds: float) -> None:
        plot = self.plt
        plot.clear_data()
        plot.title(self._title)
        plot.grid(False, False)
        plot.xlim(-seconds, 0)
        plot.xticks([-seconds, 0], [f"{_length(seconds)} ago", "now"])
        top = ceiling(max((value for _at, value in self._points or ()), default=0.0))
        plot.ylim(0, top)
        plot.yticks([0, top / 2, top], ["0", f"{top / 2:g}", f"{top:g}"])
        if self._points:
            last = self._points[-1][0]
            ages = [at - last for at, _value in self._points]
            values = [value for _at, value in self._points]
            plot.plot(ages, values, marker="braille", color="cyan")

    def _built(self) -> list[Text]:
        if self._lines_size != self.size:
            self._strips.clear()
            self._lines_size = self.size
        if self.size.height < SMALLEST_HEIGHT:
            return [Text()] * self.size.height
        rendered = super().render()
        assert isinstance(rendered, Text)
        return list(rendered.split("\n"))

    def render_line(self, y: int) -> Strip:
        """One line: Textual's own would lay out the whole chart anew for each that changed."""
        if self._lines_size != self.size:
            self._lines = self._built()
        if y not in self._strips:
            line = self._lines[y] if y < len(self._lines) else Text()
            self._strips[y] = self._laid_out(line)
        return self._strips[y]

    def _laid_out(self, line: Text) -> Strip:
        visual = visualize(self, line)
        return Visual.to_strips(self, visual, self.size.width, 1, self.visual_style)[0]

    def notify_style_update(self) -> None:
        self._lines_size = Size()
        super().notify_style_update()


def _length(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3600, "hours")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 60:.0f} min"


def buckets(
    values: Iterable[tuple[datetime, float]], length: int = BUCKET_SECONDS
) -> list[tuple[float, float]]:
    """(seconds, mean) of each bucket that is over, in order; the running one if alone."""
    sums: dict[int, list[float]] = {}
    for at, value in values:
        sums.setdefault(int(at.timestamp()) // length, []).append(value)
    if len(sums) > 1:
        del sums[max(sums)]
    return [(float(bucket * length), sum(found) / len(found)) for bucket, found in sums.items()]


def ceiling(value: float) -> float:
    """The next of 2, 4, 10, 20, 40, 100 ... that is not below the value, so the scale rarely moves.

    >>> ceiling(0), ceiling(3), ceiling(4), ceiling(11), ceiling(730)
    (2.0, 4.0, 4.0, 20.0, 1000.0)
    """
    power = 10.0 ** max(0, math.floor(math.log10(max(value, 1.0))))
    return next(step * power for step in (2.0, 4.0, 10.0) if value <= step * power)
