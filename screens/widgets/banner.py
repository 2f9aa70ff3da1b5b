"""The two lines on top: where this is and how it stands, and the tabs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from console.findings import Severity
from console.target import Target
from queries.server import Server
from screens.widgets import marks
from screens.widgets.plain import one_line

PLACE_WIDTH = 28


class Banner(Static):
    """Target, server, role and verdict, in one line that changes only when they do."""

    def __init__(self, target: Target, read_only: bool) -> None:
        super().__init__(markup=False, id="banner")
        self._target = target
        self._read_only = read_only
        self._remark = ""
        self._shown: tuple[Server | None, Severity | None, bool] = (None, None, False)
        self._drawn: tuple[object, ...] | None = None

    def describe(self, server: Server | None, verdict: Severity | None, lost: bool) -> None:
        self._shown = (server, verdict, lost)
        self._draw()

    def aim(self, target: Target) -> None:
        """It is about another target now, of which nothing is known yet."""
        self._target = target
        self.describe(None, None, lost=False)

    def remark(self, words: str) -> None:
        """Something that has to be seen on every tab, such as an unfinished restore; '' ends it."""
        self._remark = words
        self._draw()

    def _draw(self) -> None:
        state = (self._target, *self._shown, self._remark, self.size.width)
        if state != self._drawn:
            self._drawn = state
            self.update(self._line(*self._shown))

    def _line(self, server: Server | None, verdict: Severity | None, lost: bool) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        if self._remark:
            line.append_text(one_line(f" F9: {self._remark} ", "reverse yellow"))
        if lost:
            line.append(" ✗ NOT CONNECTED ", "reverse bold red")
        elif verdict is not None:
            line.append_text(marks.badge(verdict))
        else:
            line.append(" … ", "reverse")
        line.append(f" {server.database if server else self._target.dbname}", "bold")
        if server is not None and server.in_recovery:
            line.append(" · standby", "yellow")
        line.append(f" @ {_short(self._target.place)}", "dim")
        if server is not None:
            line.append(f" · PostgreSQL {server.version.partition(' ')[0]} · {server.role}")
        line.append(" · read-only" if self._read_only else "", "dim")
        return line


def _short(place: str) -> str:
    """A place that leaves room for the rest: a long socket path by its last directories."""
    if len(place) <= PLACE_WIDTH:
        return place
    tail = place[1 - PLACE_WIDTH :]
    return f"…{tail[max(0, tail.find('/')) :]}"


def digit(number: int) -> str:
    """The key of the number-th tab, counted from 1: the tenth is on 0."""
    return str(number % 10)


class TabStrip(Static):
    """The tabs with their numbers; short names, then none, where the terminal is narrow."""

    active: reactive[int] = reactive(0)

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, titles: Sequence[tuple[str, str]]) -> None:
        """`titles` are each tab's name and its short name."""
        super().__init__(markup=False, id="tab-strip")
        self._titles = tuple(titles)

    def labels(self) -> list[str]:
        full = [f" {digit(number)} {title} " for number, (title, _) in enumerate(self._titles, 1)]
        short = [f" {digit(number)} {name} " for number, (_, name) in enumerate(self._titles, 1)]
        for labels in (full, short):
            if sum(map(len, labels)) <= self.size.width:
                return labels
        return [
            label if number == self.active else f" {digit(number + 1)} "
            for number, label in enumerate(short)
        ]

    def render(self) -> Text:
        line = Text(no_wrap=True)
        for number, label in enumerate(self.labels()):
            line.append(label, "reverse bold" if number == self.active else "dim")
        return line

    def on_click(self, event: Click) -> None:
        position = 0
        for number, label in enumerate(self.labels()):
            position += len(label)
            if event.x < position:
                self.post_message(self.Chosen(number))
                return
