"""Timings: counted and sampled, its views, its charts, what it marks, and losing the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from conftest import run_sql
from sessions import stage
from textual.pilot import Pilot
from textual.widgets import Static

from console.local_server import LocalServer
from console.monitor.timings import Timing
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.tabs import TABS
from screens.timings import TimingsTab
from screens.widgets.dialogs import ConfirmDialog, DetailDialog

Database = dict[str, Any]


@asynccontextmanager
async def on_timings(
    database: Database, *, size: tuple[int, int] = (80, 24), read_only: bool = False
) -> AsyncIterator[tuple[ConsoleApp, Pilot[Any], TimingsTab]]:
    """The app with the tab in front and read once; it reads as often as it is told to."""
    app = ConsoleApp(Target("test", database), Settings(refresh_seconds=0.5), read_only=read_only)
    async with app.run_test(size=size) as pilot:
        number = next(n for n, entry in enumerate(TABS, 1) if entry.identity == "timings")
        await pilot.press(str(number))
        tab = app.active_tab
        assert isinstance(tab, TimingsTab)
        await settled(pilot, lambda: tab.reading is not None)
        yield app, pilot, tab


async def settled(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    for _attempt in range(200):
        if holds():
            return
        await pilot.pause(0.05)
    pytest.fail("never came to hold")


async def again(pilot: Pilot[Any], tab: TimingsTab) -> None:
    """One more reading."""
    before = tab.reading
    await pilot.press("r")
    await settled(pilot, lambda: tab.reading is not before)


def headline(tab: TimingsTab) -> str:
    return str(tab.query_one(".headline", Static).visual)


def row(tab: TimingsTab, text: str) -> list[str]:
    """The cells of the line whose statement holds the text."""
    return next(
        [str(cell) for cell in cells]
        for cells in tab.table._shown.values()
        if text in str(cells[-1])
    )


@pytest.fixture
def counted(empty_db: Database) -> Database:
    run_sql(
        empty_db,
        "CREATE EXTENSION pg_stat_statements",
        "SELECT pg_stat_statements_reset()",
        "CREATE TABLE marked (id int)",
        "SELECT count(*) FROM marked",
    )
    return empty_db


async def test_what_ran_in_the_last_interval_is_shown_beside_the_total(counted: Database) -> None:
    async with on_timings(counted) as (_app, pilot, tab):
        run_sql(counted, *["SELECT count(*) FROM marked"] * 20)
        await again(pilot, tab)
        titles = [tab.table.specs[n].title for n in tab.table._visible]
        cells = dict(zip(titles, row(tab, "FROM marked"), strict=True))
        assert cells["calls"] == "21"
        assert cells["/s"] not in ("·", "-")
        assert "since" in headline(tab)


async def test_a_slow_statement_is_marked_in_words_and_counted(counted: Database) -> None:
    run_sql(counted, "SELECT pg_sleep(0.08)")
    async with on_timings(counted) as (_app, _pilot, tab):
        assert "1 over 50 ms" in headline(tab)
        assert any(cell.startswith("! ") for cell in row(tab, "pg_sleep"))
        assert not any(cell.startswith("! ") for cell in row(tab, "FROM marked"))


async def test_the_views_keep_the_statement_selected(counted: Database) -> None:
    async with on_timings(counted) as (_app, pilot, tab):
        await pilot.press("down", "down")
        selected = tab.table.selected
        assert selected is not None
        for _view in range(3):
            await pilot.press("v")
            await pilot.pause()
            assert tab.table.selected is not None
            assert tab.table.selected.key == selected.key
            assert tab.table.has_focus


async def test_no_line_is_wider_than_a_small_terminal(counted: Database) -> None:
    run_sql(counted, f"SELECT count(*) FROM marked WHERE id IN ({', '.join(map(str, range(200)))})")
    async with on_timings(counted) as (_app, pilot, tab):
        for _view in range(3):
            assert tab.table.virtual_size.width <= tab.table.size.width
            await pilot.press("v")
            await pilot.pause()
        await pilot.resize_terminal(140, 40)
        await pilot.pause()
        assert tab.table.virtual_size.width <= tab.table.size.width


async def test_charts_show_where_there_is_room_and_on_demand(counted: Database) -> None:
    async with on_timings(counted) as (_app, pilot, tab):
        charts = tab.query_one("#timing-charts")
        assert not charts.display
        await pilot.press("c")
        await pilot.pause()
        assert charts.display
        await pilot.press("c")
        await pilot.pause()
        assert not charts.display
    async with on_timings(counted, size=(140, 40)) as (_app, _pilot, tab):
        assert tab.query_one("#timing-charts").display


async def test_enter_lays_the_statement_out_and_tells_its_figures(counted: Database) -> None:
    async with on_timings(counted, size=(100, 40)) as (app, pilot, tab):
        await pilot.press("slash", *"count", "enter", "enter")
        await pilot.pause(0.2)
        assert isinstance(app.screen, DetailDialog)
        body = app.screen.query(Static).first()
        text = "\n".join(
            "".join(s.text for s in body.render_line(y)) for y in range(body.size.height)
        )
        assert "COUNT(*)" in text
        assert "shared_buffers" in text
        assert tab.table.selected is not None


async def test_the_consoles_own_statements_come_on_demand(counted: Database) -> None:
    async with on_timings(counted) as (_app, pilot, tab):
        await again(pilot, tab)
        assert tab.reading is not None
        before = len(tab.reading.timings)
        await pilot.press("x")
        await settled(pilot, lambda: len(tab.reading.timings) > before if tab.reading else False)
        assert "with the console's own" in headline(tab)


async def test_without_the_extension_it_says_so_samples_and_can_enable_it(
    empty_db: Database,
) -> None:
    with stage(empty_db) as enter:
        enter("worker").starts("SELECT pg_sleep(60)")
        async with on_timings(empty_db) as (app, pilot, tab):
            await again(pilot, tab)
            assert "SAMPLED" in headline(tab)
            assert "CREATE EXTENSION pg_stat_statements" in headline(tab)
            await settled(pilot, lambda: len(tab.sampled._shown) > 0)
            assert str(next(iter(tab.sampled._shown.values()))[0]).startswith("≈")
            await pilot.press("E")
            await pilot.pause()
            assert isinstance(app.screen, ConfirmDialog)
            await pilot.press("y")
            await settled(pilot, lambda: not tab._is_sampled)
            assert tab.table.display
            assert not tab.sampled.display


async def test_read_only_offers_no_enabling(empty_db: Database) -> None:
    async with on_timings(empty_db, read_only=True) as (app, pilot, tab):
        await pilot.press("E")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmDialog)
        assert tab.check_action("enable", ()) is False


async def test_a_lost_connection_keeps_the_figures_and_comes_back(counted: Database) -> None:
    async with on_timings(counted) as (_app, pilot, tab):
        run_sql(
            counted,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'medianest-console'",
        )
        await pilot.press("r")
        await settled(pilot, lambda: tab.has_class("-stale"))
        assert tab.table.row_count > 0
        await pilot.press("r")
        await settled(pilot, lambda: not tab.has_class("-stale"))


async def test_other_roles_statements_are_said_to_be_hidden(
    counted: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(counted)
    run_sql(counted, "REVOKE pg_read_all_stats FROM limited")
    try:
        async with on_timings(limited) as (_app, _pilot, tab):
            assert "hidden" in headline(tab)
            assert "GRANT pg_read_all_stats" in headline(tab)
    finally:
        run_sql(counted, "GRANT pg_read_all_stats TO limited")


async def test_a_hostile_statement_is_shown_as_it_is(counted: Database) -> None:
    run_sql(counted, 'SELECT 1 AS "[/foo] [red]x"')
    async with on_timings(counted, size=(140, 40)) as (_app, pilot, tab):
        assert any("[/foo] [red]x" in str(c[-1]) for c in tab.table._shown.values())
        await pilot.press("slash", *"/foo", "enter", "enter")
        await pilot.pause(0.2)


async def test_nothing_is_sent_while_nothing_changes(
    counted: Database, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_timings(counted) as (_app, pilot, tab):
        await again(pilot, tab)
        await again(pilot, tab)
        sent: list[Any] = []
        monkeypatch.setattr(tab.table, "update_cell", lambda *a, **k: sent.append(a))
        monkeypatch.setattr(tab.table, "clear", lambda *a, **k: sent.append(a))
        await again(pilot, tab)
        await asyncio.sleep(0)
        assert sent == []


async def test_p_opens_the_plan_of_the_selected_statement(counted: Database) -> None:
    from screens.plans import PlansTab

    async with on_timings(counted, size=(100, 40)) as (app, pilot, tab):
        tab.table.select(next(t.key for t in _all(tab) if "FROM marked" in (t.text or "")))
        await pilot.press("p")
        await settled(pilot, lambda: isinstance(app.active_tab, PlansTab))
        plans = app.active_tab
        assert isinstance(plans, PlansTab)
        assert "FROM marked" in plans.editor.text


def _all(tab: TimingsTab) -> Sequence[Timing]:
    assert tab.reading is not None
    return tab.reading.timings
