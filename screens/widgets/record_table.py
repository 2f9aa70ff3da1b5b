"""A table of records: columns by description, the cursor on its record, few bytes sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import DataTable
from textual.widgets.data_table import RowKey

Record = TypeVar("Record")

ROW_LIMIT = 2_000
"""Rows drawn at most: beyond, a DataTable takes seconds."""

_ELSEWHERE = Coordinate(-9, -9)
"""No row's place, nor the header's, which is -1."""

LEAST_FILLING = 20
"""Cells that a column that fills has at least."""


@dataclass(frozen=True)  # slots and Column[Record](...) do not go together
class Column(Generic[Record]):
    """How one column is filled, ordered and placed."""

    title: str
    cell: Callable[[Record], str | Text]
    order: Callable[[Record], Any] | None = None
    """The value to sort by; None where sorting says nothing."""
    right: bool = False
    """Right-aligned, for numbers."""
    priority: int = 0
    """0 is always shown; the highest numbers leave first where the terminal is narrow."""
    width: int = 10
    """Cells it takes, at most, when deciding what fits."""
    fills: bool = False
    """Takes the room that the others leave, and is cut there; for one column."""
    descending: bool = False
    """The first direction when sorted by: largest first suits numbers."""


class RecordTable(DataTable[Text], Generic[Record]):
    """Shows records by key. The cursor follows the record, not the row number."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "details")]

    def __init__(
        self,
        columns: Sequence[Column[Record]],
        key: Callable[[Record], str],
        *,
        sort: int | None = None,
        id: str | None = None,
    ) -> None:
        self._draws_cells = False
        self._ground: Style | None = None
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self.specs = tuple(columns)
        self.key_of = key
        self.sorted_by = sort
        self.reversed = sort is not None and columns[sort].descending
        self._records: tuple[Record, ...] = ()
        self._shown: dict[str, tuple[Text, ...]] = {}
        self._by_key: dict[str, Record] = {}
        self._visible: tuple[int, ...] = ()
        self._filled = 0

    @property
    def selected(self) -> Record | None:
        """The record under the cursor."""
        key = self._cursor_key()
        return self._by_key.get(key) if key is not None else None

    @property
    def hidden_rows(self) -> int:
        """How many records are beyond ROW_LIMIT and not drawn."""
        return max(0, len(self._records) - ROW_LIMIT)

    def show(self, records: Sequence[Record]) -> None:
        """Show these records: only what differs is sent, the selected record stays selected."""
        self._records = tuple(records)
        self._draw()

    def sort_next(self) -> None:
        """Sort by the next visible column that has an order."""
        sortable = [n for n in self._visible if self.specs[n].order is not None]
        if not sortable:
            return
        later = [n for n in sortable if self.sorted_by is None or n > self.sorted_by]
        self._sort_by((later or sortable)[0])

    def reverse(self) -> None:
        self.reversed = not self.reversed
        self._draw()

    def _sort_by(self, column: int) -> None:
        self.sorted_by = column
        self.reversed = self.specs[column].descending
        self._draw(relabel=True)

    def on_resize(self, event: Resize) -> None:
        if self._fitting(event.size.width) != self._visible or any(c.fills for c in self.specs):
            self._draw(relabel=True)

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        event.stop()
        column = self._visible[event.column_index]
        if column == self.sorted_by:
            self.reverse()
        elif self.specs[column].order is not None:
            self._sort_by(column)

    def _fitting(self, width: int) -> tuple[int, ...]:
        """The columns that fit, dropping the highest priorities from the right."""
        chosen = list(range(len(self.specs)))
        room = width - 2
        while sum(self.specs[n].width + 2 for n in chosen) > room:
            droppable = [n for n in chosen if self.specs[n].priority > 0]
            if not droppable:
                break
            chosen.remove(max(droppable, key=lambda n: (self.specs[n].priority, n)))
        return tuple(chosen)

    def _ordered(self) -> list[Record]:
        if self.sorted_by is None:
            return list(self._records)
        order = self.specs[self.sorted_by].order
        if order is None:
            return list(self._records)
        known = [record for record in self._records if order(record) is not None]
        unknown = [record for record in self._records if order(record) is None]
        return sorted(known, key=order, reverse=self.reversed) + unknown

    def _draw(self, relabel: bool = False) -> None:
        visible = self._fitting(self.size.width or 80)
        records = self._ordered()[:ROW_LIMIT]
        cells = {
            self.key_of(record): tuple(self._cell(self.specs[n], record) for n in visible)
            for record in records
        }
        filled = self._fill(visible, cells.values())
        relabel = relabel or filled != self._filled
        self._filled = filled
        self._by_key = {self.key_of(record): record for record in records}
        if relabel or visible != self._visible or list(cells) != list(self._shown):
            self._rebuild(visible, cells, relabel or visible != self._visible)
        else:
            self._update(cells)
        self._shown = cells

    def _fill(self, visible: Sequence[int], rows: Collection[tuple[Text, ...]]) -> int:
        """Give the column that fills what room the others leave; its cells, 0 without one."""
        place = next((at for at, n in enumerate(visible) if self.specs[n].fills), None)
        if place is None:
            return 0
        taken = sum(
            max([self._label(n).cell_len, *(row[at].cell_len for row in rows)])
            for at, n in enumerate(visible)
            if at != place
        )
        padding = 2 * self.cell_padding * len(visible)
        width = (self.size.width or 80) - self.styles.scrollbar_size_vertical
        room = max(LEAST_FILLING, width - padding - taken)
        for row in rows:
            row[place].truncate(room, overflow="ellipsis", pad=True)
        return room

    def _update(self, cells: dict[str, tuple[Text, ...]]) -> None:
        """Touch what differs only; while the columns keep their widths, only that is sent."""
        changed = [
            (at, key, n, new)
            for at, (key, row) in enumerate(cells.items())
            for n, (old, new) in enumerate(zip(self._shown[key], row, strict=True))
            if old != new or old.style != new.style
        ]
        columns = self.ordered_columns
        widens = {at for at, _, n, new in changed if new.cell_len > columns[n].content_width}
        self._draws_cells = not widens
        for at, key, n, new in changed:
            self.update_cell(key, str(self._visible[n]), new, update_width=at in widens)
        if changed:
            self._forget_drawn()
        if self._draws_cells:
            self._draws_cells = False
            self._refresh_cells([(at, n) for at, _, n, _ in changed])

    def _forget_drawn(self) -> None:
        """Drop what Textual keeps of earlier figures: it finds none of it again.

        It would keep ten thousand cells, some 20 MB, of each table that changes.
        """
        for kept in (
            self._cell_render_cache,
            self._row_renderable_cache,
            self._row_render_cache,
            self._line_cache,
        ):
            kept.clear()

    def _refresh_cells(self, places: Sequence[tuple[int, int]]) -> None:
        """Draw the cells at (row, column) again where they are in sight."""
        widths = [column.get_render_width(self) for column in self.ordered_columns]
        left, top = self.scroll_offset
        lines = range(self.header_height, self.size.height)
        regions = [
            Region(sum(widths[:column]) - left, line, widths[column], 1)
            for row, column in places
            if (line := row + self.header_height - top) in lines
        ]
        if regions:
            self.refresh(*regions)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The style under all lines is found once, not for each of them."""
        self._ground = super().rich_style
        try:
            return super().render_lines(crop)
        finally:
            self._ground = None

    @property
    def rich_style(self) -> Style:
        return super().rich_style if self._ground is None else self._ground

    def _render_line_in_row(
        self,
        row_key: RowKey,
        line_no: int,
        base_style: Style,
        cursor_location: Coordinate,
        hover_location: Coordinate,
    ) -> tuple[Any, Any]:
        """Rows are kept by where the cursor is, which concerns its own row only.

        Unless told that it is elsewhere, every row in sight is made anew for each key that scrolls.
        """
        row = self._row_locations.get(row_key)
        cursor, hover = (
            place if place.row == row else _ELSEWHERE for place in (cursor_location, hover_location)
        )
        return super()._render_line_in_row(row_key, line_no, base_style, cursor, hover)

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """As any widget's; held back while single cells are updated, each of which asks for all."""
        if self._draws_cells:
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def _rebuild(
        self, visible: tuple[int, ...], cells: dict[str, tuple[Text, ...]], columns_too: bool
    ) -> None:
        selected, scroll = self._cursor_key(), self.scroll_y
        position = self.cursor_row
        with self.app.batch_update():
            self.clear(columns=columns_too)
            if columns_too or not self.columns:
                for n in visible:
                    self.add_column(self._label(n), key=str(n))
            self._visible = visible
            for key, row in cells.items():
                self.add_row(*row, key=key)
            if selected is not None and cells:
                keys = list(cells)
                row_number = keys.index(selected) if selected in cells else position
                self.move_cursor(row=min(row_number, len(keys) - 1), scroll=False)
                self.scroll_to(y=scroll, animate=False)

    def _label(self, column: int) -> Text:
        spec = self.specs[column]
        mark = ""
        if column == self.sorted_by:
            mark = " ↓" if self.reversed else " ↑"
        return Text(spec.title + mark, justify="right" if spec.right else "left")

    @staticmethod
    def _cell(spec: Column[Record], record: Record) -> Text:
        value = spec.cell(record)
        text = value if isinstance(value, Text) else Text(value)
        text.justify = "right" if spec.right else "left"
        text.no_wrap = True
        return text

    def _cursor_key(self) -> str | None:
        if not self._shown or not 0 <= self.cursor_row < len(self._shown):
            return None
        return list(self._shown)[self.cursor_row]
