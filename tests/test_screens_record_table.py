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

        rows[22] = ("session-22", "idle in transaction", "22 s")
        table.show(rows)
        await pilot.pause()
        assert () in ASKED, "a wider column moves the others: all is drawn"
        assert _line(table, 3).split() == ["session-22", "idle", "in", "transaction", "22", "s"]
        table.scroll_home(animate=False)
        await pilot.pause()
        assert _line(table, 4).split() == ["session-3", "gone", "03", "s"]
