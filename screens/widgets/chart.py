"""Line charts of the last minutes, drawn by plotext; the only module that knows plotext."""

from __future__ import annotations

from collections.abc import Sequence

from textual_plotext import PlotextPlot


class Chart(PlotextPlot):
    """One line over time: the newest value at the right edge."""

    def __init__(self, title: str, *, id: str, top: float | None = None) -> None:
        """`top` fixes the upper end of the scale; None fits it to the values."""
        super().__init__(id=id, classes="chart")
        self._title = title
        self._top = top
        self._drawn: tuple[tuple[float, float], ...] = ()

    def draw(self, points: Sequence[tuple[float, float]], seconds: float) -> None:
        """Show (seconds before now, value) points of the last `seconds`; nothing when unchanged."""
        drawn = tuple(points)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        plot = self.plt
        plot.clear_data()
        plot.title(self._title)
        plot.grid(False, False)
        plot.xlim(-seconds, 0)
        highest = max((value for _age, value in drawn), default=0.0)
        plot.ylim(0, self._top if self._top is not None else max(1.0, highest * 1.1))
        marks = [-seconds, -seconds / 2, 0]
        plot.xticks(marks, [f"{-mark / 60:.0f} min" for mark in marks[:-1]] + ["now"])
        if drawn:
            plot.plot([-age for age, _value in drawn], [v for _age, v in drawn], marker="braille")
        self.refresh()
