"""A RecordTable for live figures: columns of fixed width, so that nothing jumps."""

from __future__ import annotations

from typing import Any, TypeVar

from rich.text import Text
from textual.events import Resize
from textual.widgets.data_table import ColumnKey

from screens.widgets.plain import one_line
from screens.widgets.record_table import RecordTable

Record = TypeVar("Record")

_EDGE = 2
"""A scroll bar's room."""


class SteadyTable(RecordTable[Record]):
    """Its last column takes what the others leave, unless told otherwise."""

    fills = True
    _drawn_width = 0

    @property
    def room(self) -> int:
        """Cells that the last column has."""
        width = self.size.width or 80
        visible = self._fitting(width)
        last = len(self.specs) - 1
        taken = sum(self.specs[n].width + 2 for n in visible if n != last)
        return max(self.specs[last].width, width - taken - 2 - _EDGE)

    def add_column(
        self,
        label: Any,
        *,
        width: int | None = None,
        key: str | None = None,
        default: Text | None = None,
    ) -> ColumnKey:
        number = int(key or 0)
        is_last = self.fills and number == len(self.specs) - 1
        fixed = self.room if is_last else self.specs[number].width
        return super().add_column(label, width=fixed, key=key, default=default)

    def on_resize(self, event: Resize) -> None:
        if event.size.width != self._drawn_width:
            self._drawn_width = event.size.width
            self._draw(relabel=True)

    def select(self, key: str) -> None:
        """Put the cursor on the record of that key, if it is shown."""
        keys = list(self._shown)
        if key in keys:
            self.move_cursor(row=keys.index(key))


def cut(text: str, room: int, style: str = "") -> Text:
    """One safe line of at most `room` cells."""
    line = one_line(text, style)
    line.truncate(max(room, 1), overflow="ellipsis")
    return line
