"""The shell: it opens with and without a server, tabs mount when shown, keys mean one thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from textual.widgets import Static

from console.findings import Severity
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.keys import EVERYWHERE
from screens.keys import TABS as TAB_KEYS
from screens.overview import OverviewTab
from screens.tabs import TABS
from screens.widgets.banner import Banner, TabStrip
from screens.widgets.dialogs import DetailDialog
from screens.widgets.tab import Tab

Database = dict[str, Any]


def console(database: Database, **settings: Any) -> ConsoleApp:
    return ConsoleApp(Target("test", database), Settings(refresh_seconds=0.5, **settings))


def shown(app: ConsoleApp, selector: str) -> str:
    return str(app.query_one(selector, Static).visual)


async def settled(app: ConsoleApp, pilot: Any, holds: Callable[[], bool]) -> None:
    """Wait for a state; the app's own timers go on, so waiting for workers would never end."""
    for _attempt in range(100):
        if holds():
            return
        await pilot.pause(0.05)
    pytest.fail(f"never came to hold; the screen says {shown(app, '.problem')!r}")


async def test_the_overview_fills_from_a_real_server(medianest_db: Database) -> None:
    app = console(medianest_db)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = app.active_tab
        assert isinstance(tab, OverviewTab)
        await settled(app, pilot, lambda: len(tab.history.samples) >= 2)
        assert "of 97" in render(app, "#figures")
        assert "OK" in shown(app, "#verdict")
        assert medianest_db["dbname"] in shown(app, "#banner")


def render(app: ConsoleApp, selector: str) -> str:
    widget = app.query_one(selector)
    return "\n".join(
        "".join(s.text for s in widget.render_line(y)) for y in range(widget.size.height)
    )


async def test_only_the_tab_that_was_shown_is_mounted(medianest_db: Database) -> None:
    app = console(medianest_db)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert [tab.IDENTITY for tab in app.query(Tab)] == ["overview"]
        await pilot.press("3")
        await pilot.pause()
        assert [tab.IDENTITY for tab in app.query(Tab)] == ["overview", "indexes"]
        assert app.active_tab.IDENTITY == "indexes"
        await pilot.press("1")
        await pilot.pause()
        assert app.active_tab.IDENTITY == "overview"


@pytest.mark.slow
async def test_it_opens_without_a_server_and_says_what_to_do() -> None:
    app = console({"host": "127.0.0.1", "port": "1", "dbname": "gone"})
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(app, pilot, lambda: "CANNOT CONNECT" in shown(app, ".problem"))
        assert "Check that the server runs" in shown(app, ".problem")
        assert "NOT CONNECTED" in shown(app, "#banner")
        for entry in TABS:
            await pilot.press(entry.key)
            await pilot.pause()
        assert app.is_running


async def test_a_lost_connection_keeps_the_last_figures_and_comes_back(empty_db: Database) -> None:
    app = console(empty_db)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = app.active_tab
        assert isinstance(tab, OverviewTab)
        await settled(app, pilot, lambda: tab.loaded_at is not None)
        end_sessions(empty_db)
        await settled(app, pilot, lambda: tab.has_class("-stale"))
        assert "STALE" in shown(app, ".problem")
        assert "connections" in render(app, "#figures")
        await pilot.press("r")
        await settled(app, pilot, lambda: not tab.has_class("-stale"))
        assert "NOT CONNECTED" not in shown(app, "#banner")


def end_sessions(database: Database) -> None:
    with psycopg.connect(**database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_pausing_stops_the_questions_and_space_resumes(empty_db: Database) -> None:
    app = console(empty_db)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = app.active_tab
        assert isinstance(tab, OverviewTab)
        await settled(app, pilot, lambda: len(tab.history.samples) >= 1)
        await pilot.press("space")
        await pilot.pause(0.2)
        taken = len(tab.history.samples)
        await pilot.pause(1.2)
        assert len(tab.history.samples) <= taken + 1
        await pilot.press("space")
        await settled(app, pilot, lambda: len(tab.history.samples) > taken + 1)


async def test_help_explains_the_tab_and_lists_its_keys(empty_db: Database) -> None:
    app = console(empty_db)
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, DetailDialog)
        body = app.screen.query(Static).first()
        text = "\n".join(
            "".join(s.text for s in body.render_line(y)) for y in range(body.size.height)
        )
        assert "shared_buffers" in text
        for key in EVERYWHERE:
            assert key.meaning[:30] in text
        await pilot.press("escape")
        assert not isinstance(app.screen, DetailDialog)


async def test_a_narrow_terminal_shortens_the_tabs_and_a_tiny_one_says_so(
    empty_db: Database,
) -> None:
    app = console(empty_db)
    async with app.run_test(size=(62, 24)) as pilot:
        await pilot.pause()
        strip = app.query_one(TabStrip)
        assert sum(map(len, strip.labels())) <= 62
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert app.query_one("#too-small").display
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert not app.query_one("#too-small").display


async def test_a_tab_can_be_clicked(empty_db: Database) -> None:
    app = console(empty_db)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.click("#tab-strip", offset=(15, 0))
        await pilot.pause()
        assert app.active_tab.IDENTITY == "schema"


async def test_hostile_names_are_shown_as_they_are(empty_db: Database) -> None:
    app = console({**empty_db, "dbname": "[/foo] [red]x"})
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.say("[/foo] %s")
        await settled(app, pilot, lambda: "DATABASE MISSING" in shown(app, ".problem"))
        assert "[/foo] [red]x" in shown(app, ".problem")
        assert "[/foo] [red]x" in shown(app, "#banner")


def test_no_key_means_two_things_on_one_tab() -> None:
    for identity, tab_keys in TAB_KEYS.items():
        names = [key.key for key in (*tab_keys, *EVERYWHERE)]
        assert len(names) == len(set(names)), identity
        assert not {str(n) for n in range(10)} & set(names)


def test_what_acts_is_upper_case_and_what_looks_is_not() -> None:
    for keys in TAB_KEYS.values():
        for key in keys:
            assert not key.acts or key.key.isupper(), key


def test_the_banner_tells_the_verdict_in_words() -> None:
    banner = Banner(Target("x", {"host": "db", "port": "5433", "dbname": "media"}), True)
    text = str(banner._line(None, Severity.FAILURE, lost=False))
    assert "FAIL" in text
    assert "media @ db:5433" in text
    assert "read-only" in text
