"""A table of records draws again what changed, and nothing else."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.widgets import DataTable

from screens.widgets.record_table import Column, RecordTable

Row = tuple[str, str, str]

ROWS = 60
ASKED: list[tuple[Region, ...]] = []


class Table(RecordTable[Row]):
    """Notes what it asks Textual to draw."""

    def refresh(self, *regions: Region, **options: Any) -> Any:
        if not self._draws_cells:
            ASKED.append(regions)
        return super().refresh(*regions, **options)


class Page(App[None]):
    def compose(self) -> ComposeResult:
        columns = [
            Column[Row](title, lambda row, n=n: Text(row[n]))  # type: ignore[misc]
            for n, title in enumerate(("name", "state", "age"))
        ]
        yield Table(columns, lambda row: row[0])


def _line(table: DataTable[Text], number: int) -> str:
    return table.render_line(number).text.rstrip()


async def test_cells_that_change_within_their_width_are_all_that_is_drawn() -> None:
    rows = [(f"session-{n}", "idle", f"{n:02} s") for n in range(ROWS)]
    async with Page().run_test(size=(60, 12)) as pilot:
        table = pilot.app.query_one(Table)
        table.show(rows)
        await pilot.pause()
        table.scroll_to(y=20, animate=False)
        await pilot.pause()
        assert _line(table, 2).split() == ["session-21", "idle", "21", "s"]

        ASKED.clear()
        changed = {3: "gone", 21: "busy", 23: "idle", 40: "busy"}
        rows = [(name, changed.get(n, state), age) for n, (name, state, age) in enumerate(rows)]
        table.show(rows)
        # Of rows 3, 21 and 40 only 21 is in sight: "name" is 12 wide, "state" 7.
        assert [(Region(12, 2, 7, 1),)] == ASKED
        await pilot.pause()
        assert _line(table, 2).split() == ["session-21", "busy", "21", "s"]
        assert _line(table, 3).split() == ["session-22", "idle", "22", "s"]

        ASKED.clear()
        table.show(rows)
        assert ASKED == []

        for second in range(30):
            table.show([(name, state, f"{second:02} s") for name, state, _ in rows])
            await pilot.pause()
        assert len(table._cell_render_cache) <= 3 * 12, "cells of figures that are gone are kept"
        table.show(rows)

        rows[22] = ("session-22", "idle in transaction", "22 s")
        table.show(rows)
        await pilot.pause()
        assert () in ASKED, "a wider column moves the others: all is drawn"
        assert _line(table, 3).split() == ["session-22", "idle", "in", "transaction", "22", "s"]
        table.scroll_home(animate=False)
        await pilot.pause()
        assert _line(table, 4).split() == ["session-3", "gone", "03", "s"]


async def test_the_cursor_is_on_one_row_wherever_it_goes_and_other_rows_are_not_made_anew() -> None:
    rows = [(f"session-{n}", "idle", f"{n:02} s") for n in range(ROWS)]
    async with Page().run_test(size=(60, 12)) as pilot:
        table = pilot.app.query_one(Table)
        table.focus()
        table.show(rows)
        await pilot.press("end", "home")
        for key in ("down", "down", *["pagedown"] * 2, *["down"] * 9, "up", "pageup"):
            await pilot.press(key)
            lit = [y for y in range(1, 12) if _is_lit(table, y)]
            assert [_line(table, y).split()[0] for y in lit] == [rows[table.cursor_row][0]]
        await pilot.press("pagedown", "down")
        await pilot.pause()
        top, before = table.scroll_offset.y, len(table._row_render_cache)
        await pilot.press("down")
        await pilot.pause()
        assert table.scroll_offset.y == top + 1
        made = len(table._row_render_cache) - before
        assert made <= 3, f"{made} rows were made for one that the cursor came to"


def _is_lit(table: Table, number: int) -> bool:
    """Whether a line has the cursor's background."""
    cursor = table.get_component_styles("datatable--cursor").background.rich_color
    return any(s.style and s.style.bgcolor == cursor for s in table.render_line(number))
