"""The plan as a tree that is drawn line by line: only what is on the screen costs anything.

A DataTable of some thousand rows takes a second to fill; plans over partitions are that long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.plan_view import COLUMNS, Line
from screens.widgets.record_table import Column

FOLDED = "▸ "


class PlanTree(ScrollView, can_focus=True):
    """Lines of a plan under a header, one of them selected; a node's branch can be folded."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"plan-tree--cursor", "plan-tree--header"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "up", show=False),
        Binding("down", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home", "first", "first", show=False),
        Binding("end", "last", "last", show=False),
        Binding("left", "fold", "fold", show=False),
        Binding("right", "unfold", "unfold", show=False),
        Binding("enter", "choose", "details", show=False),
    ]

    class Chosen(Message):
        """Enter, or a click on the selected line."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()
        self._rows: list[Line] = []
        """Those that no folded node hides."""
        self._folded: set[int] = set()
        self._cursor = 0
        self._columns: tuple[Column[Line], ...] = COLUMNS

    @property
    def selected(self) -> Line | None:
        """The line under the cursor."""
        return self._rows[self._cursor] if self._rows else None

    @property
    def row_count(self) -> int:
        """Lines that can be scrolled to."""
        return len(self._rows)

    @property
    def columns_shown(self) -> tuple[str, ...]:
        return tuple(column.title for column in self._columns)

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines, the same one selected if it is still among them."""
        self._lines = tuple(lines)
        if len({id(line.plan) for line in lines} | {id(row.plan) for row in self._rows}) > 1:
            self._folded.clear()
        self._unhide()

    def select(self, row: int) -> None:
        """Move the cursor to a row and bring it into view; beyond the ends it is the end."""
        before, self._cursor = self._cursor, max(0, min(row, len(self._rows) - 1))
        for changed in (before, self._cursor):
            self._redraw(changed)
        self._into_view()

    def _unhide(self) -> None:
        selected = self.selected
        self._rows = [line for line in self._lines if not self._is_hidden(line)]
        numbers = {line.node.number: row for row, line in enumerate(self._rows)}
        if selected is not None:
            self._cursor = numbers.get(selected.node.number, self._cursor)
        self._cursor = max(0, min(self._cursor, len(self._rows) - 1))
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self._into_view()
        self.refresh()

    def _is_hidden(self, line: Line) -> bool:
        """Whether a node above it is folded."""
        if not self._folded:
            return False
        above = line.node.parent
        while above is not None:
            if above in self._folded:
                return True
            above = line.plan.nodes[above].parent
        return False

    def on_resize(self, event: Resize) -> None:
        self._columns = fitting(event.size.width)
        self.virtual_size = Size(event.size.width, len(self._rows) + 1)
        self._into_view()

    def _redraw(self, row: int) -> None:
        self.refresh(Region(0, row + 1 - self.scroll_offset.y, self.size.width, 1))

    def _into_view(self) -> None:
        room = self.size.height - 1  # the header stays
        if room <= 0:
            return
        top = self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + room:
            self.scroll_to(y=self._cursor - room + 1, animate=False)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            header = self.get_component_rich_style("plan-tree--header")
            return self._strip(self._joined(_title), width, header)
        row = y - 1 + self.scroll_offset.y
        if row >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        line = self._rows[row]
        text = self._joined(lambda column: self._cell(column, line))
        if row == self._cursor:
            cursor = self.get_component_rich_style("plan-tree--cursor")
            text.stylize(cursor)  # over the heat, which cannot be read on it
            return self._strip(text, width, cursor)
        return self._strip(text, width, self.rich_style)

    def _cell(self, column: Column[Line], line: Line) -> Text:
        value = column.cell(line)
        text = value if isinstance(value, Text) else Text(value)
        if column is COLUMNS[-1] and line.node.number in self._folded:
            guide = len(line.guide)
            return Text.assemble(text[:guide], (FOLDED, "bold"), text[guide:])
        return text

    def _joined(self, cell: Callable[[Column[Line]], Text]) -> Text:
        """The cells side by side; the last one, the node, takes what is left."""
        whole = Text(no_wrap=True, end="")
        for column in self._columns:
            text = cell(column)
            if column is not COLUMNS[-1]:
                text.truncate(column.width)
                missing = " " * (column.width - text.cell_len)
                text = Text(missing) + text if column.right else text + Text(missing)
            whole.append(" ").append_text(text).append(" ")
        return whole

    def _strip(self, text: Text, width: int, style: Style) -> Strip:
        text.truncate(width, overflow="ellipsis")
        strip = Strip(text.render(self.app.console), text.cell_len)
        return strip.extend_cell_length(width).apply_style(style)

    def action_move(self, rows: int) -> None:
        self.select(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        self.select(self._cursor + pages * max(1, self.size.height - 2))

    def action_first(self) -> None:
        self.select(0)

    def action_last(self) -> None:
        self.select(len(self._rows) - 1)

    def action_fold(self) -> None:
        """Hide what is below the selected node; where nothing is, go to the node above it."""
        line = self.selected
        if line is None:
            return
        node = line.node
        if node.children and node.number not in self._folded:
            self._folded.add(node.number)
            self._unhide()
        elif node.parent is not None:
            rows = [row.node.number for row in self._rows]
            if node.parent in rows:
                self.select(rows.index(node.parent))

    def action_unfold(self) -> None:
        line = self.selected
        if line is not None and line.node.number in self._folded:
            self._folded.discard(line.node.number)
            self._unhide()

    def action_choose(self) -> None:
        if self._rows:
            self.post_message(self.Chosen())

    def on_click(self, event: Click) -> None:
        row = event.y - 1 + self.scroll_offset.y
        if event.y == 0 or row >= len(self._rows):
            return
        if row == self._cursor:
            self.action_choose()
        else:
            self.select(row)


def fitting(width: int) -> tuple[Column[Line], ...]:
    """The columns there is room for; those with the highest priority go first."""
    chosen = list(COLUMNS)
    while sum(column.width + 2 for column in chosen) > width:
        last = max(chosen, key=lambda column: column.priority)
        if not last.priority:
            break
        chosen.remove(last)
    return tuple(chosen)


def _title(column: Column[Line]) -> Text:
    return Text(column.title)
