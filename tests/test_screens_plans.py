"""The Plans tab: its editor, its keys and its dialogs, on a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plan_corpus
import psycopg
import pytest
from conftest import Database
from test_console_plans_tree import node
from textual.app import App

from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.plan_dialogs import ChoiceDialog, FieldsDialog, ToggleDialog
from screens.plans import PlansTab
from screens.tabs import TABS
from screens.widgets.dialogs import ConfirmDialog, DetailDialog

SIZES = [(80, 24), (140, 40)]


def console(database: Database, **options: Any) -> ConsoleApp:
    return ConsoleApp(Target("test", database), Settings(), **options)


async def settled(pilot: Any, holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "never came to hold:\n" + screen(pilot.app)
        await pilot.pause(0.02)


def screen(app: App[Any]) -> str:
    return "\n".join(
        "".join(segment.text for segment in line)
        for line in app.screen._compositor.render_strips()  # what the terminal would show
    )


async def opened(pilot: Any) -> PlansTab:
    number = [entry.identity for entry in TABS].index("plans")
    await pilot.app.action_show_tab(number)
    tab = pilot.app.active_tab
    assert isinstance(tab, PlansTab)
    await pilot.pause()
    return tab


async def asked(pilot: Any, tab: PlansTab, text: str) -> None:
    """Put a statement into the editor and press the key."""
    tab.shown = None
    tab.editor.load_text(text)
    await pilot.press("ctrl+r")


async def explained(pilot: Any, tab: PlansTab, text: str) -> None:
    await asked(pilot, tab, text)
    await settled(pilot, lambda: tab.shown is not None)
    await pilot.pause()


@pytest.fixture
def films(empty_db: Database) -> Database:
    plan_corpus.prepare(empty_db)
    return empty_db


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_statement_is_written_run_and_looked_into(
    films: Database, size: tuple[int, int]
) -> None:
    app = console(films)
    async with app.run_test(size=size) as pilot:
        tab = await opened(pilot)
        assert tab.editor.has_focus
        await pilot.press(*"select 1 q", "f5")
        await settled(pilot, lambda: tab.shown is not None)
        assert "not run" in screen(app)
        await pilot.press("a")
        await explained(pilot, tab, "SELECT * FROM film WHERE title = 'film 12'")
        assert tab.table.has_focus
        assert "Seq Scan on film" in screen(app)
        assert "WARN #0 Seq Scan" in screen(app)
        await pilot.press("enter")
        assert isinstance(app.screen, DetailDialog)
        assert "own time" in screen(app)
        assert "CREATE INDEX CONCURRENTLY" in screen(app)
        await pilot.press("escape", "i")
        assert "sequential-scan" in screen(app)
        await pilot.press("escape", "w")
        assert "planning" in screen(app)
        await pilot.press("escape", "e")
        assert tab.editor.has_focus
        await pilot.press("escape")
        assert tab.table.has_focus


async def test_a_writing_statement_is_confirmed_with_what_stays(films: Database) -> None:
    app = console(films)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await pilot.press("escape", "a")
        await asked(pilot, tab, "UPDATE note SET body = 'x' WHERE id < 9")
        await settled(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.pause()
        assert "does NOT undo" in screen(app)
        assert "note_shout" in screen(app)
        await pilot.press("escape")
        await pilot.pause()
        assert tab.shown is None
        await pilot.press("ctrl+r")
        await settled(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await settled(pilot, lambda: tab.shown is not None)
        await pilot.pause()
        assert "ROLLED BACK" in screen(app)
    with psycopg.connect(**films) as connection:
        changed = connection.execute("SELECT count(*) FROM note WHERE body = 'X'").fetchone()
    assert changed == (0,)


async def test_read_only_never_offers_a_writing_run(films: Database) -> None:
    app = console(films, read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await pilot.press("escape", "a")
        await asked(pilot, tab, "DELETE FROM note")
        await settled(pilot, lambda: "REFUSED" in screen(app))
        assert not isinstance(app.screen, ConfirmDialog)


async def test_values_are_asked_for_before_a_run(films: Database) -> None:
    app = console(films)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await explained(pilot, tab, "SELECT * FROM film WHERE id < $1 AND genre <> $2")
        assert "generic plan" in screen(app)
        await pilot.press("a", "ctrl+r")
        await settled(pilot, lambda: isinstance(app.screen, FieldsDialog))
        await pilot.press(*"50", "enter", *"3", "enter")
        await settled(pilot, lambda: bool(tab.shown and tab.shown.is_analyzed))
        assert tab.shown is not None
        assert 40 < (tab.shown.root.actual_rows or 0) < 50


@pytest.mark.slow
async def test_earlier_plans_are_opened_and_compared(films: Database) -> None:
    app = console(films)
    async with app.run_test(size=(140, 40)) as pilot:
        tab = await opened(pilot)
        await pilot.press("escape", "a")
        await explained(pilot, tab, "SELECT count(*) FROM film WHERE title = 'film 12'")
        with psycopg.connect(**films, autocommit=True) as connection:
            connection.execute("CREATE INDEX film_title ON film (title)")
        await explained(pilot, tab, "SELECT count(*) FROM film WHERE title = 'film 12'")
        await pilot.press("c")
        assert isinstance(app.screen, ChoiceDialog)
        await pilot.press("enter")
        await settled(pilot, lambda: "(was Seq Scan)" in screen(app))
        await pilot.press("escape")
        await explained(pilot, tab, "SELECT 1")
        await pilot.press("h", "down", "enter")
        await settled(pilot, lambda: "film 12" in tab.editor.text)
        assert tab.shown is not None
        assert tab.shown.root.kind == "Aggregate"


@pytest.mark.slow
async def test_a_pasted_plan_and_a_file_are_shown_without_a_server(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps([{"Plan": node("Sort", 9, node("Seq Scan", 7, Alias="[/x]"))}]))
    app = ConsoleApp(Target("none", {"host": str(tmp_path), "port": "1"}), Settings())
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await explained(pilot, tab, path.read_text())
        assert "[/x]" in screen(app)
        await pilot.press("enter", "escape")
        tab.shown = None
        await pilot.press("f")
        await pilot.press(*str(path), "enter")
        await settled(pilot, lambda: tab.shown is not None)
        await asked(pilot, tab, "{ no plan")
        await settled(pilot, lambda: "NOT A PLAN" in screen(app))
        await asked(pilot, tab, "SELECT 1")
        await settled(pilot, lambda: "CANNOT CONNECT" in screen(app))


@pytest.mark.slow
async def test_options_are_switched_and_a_plan_is_exported(films: Database) -> None:
    app = console(films)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        tab = await opened(pilot)
        await pilot.press("escape", "o")
        assert isinstance(app.screen, ToggleDialog)
        await pilot.press("space", "down", "space", "enter")
        await pilot.pause()
        assert tab.options.analyze
        assert not tab.options.verbose
        await explained(pilot, tab, "SELECT count(*) FROM film")
        await pilot.press("x", "down", "enter")
        await settled(pilot, lambda: "Written to" in screen(app))


async def test_escape_cancels_a_run_on_the_server_too(films: Database) -> None:
    app = console(films)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await pilot.press("escape", "a")
        await asked(pilot, tab, "SELECT pg_sleep(25)")
        with psycopg.connect(**films, autocommit=True) as connection:

            def sleeping() -> bool:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                ).fetchone()
                return row is not None and row[0] > 0

            await settled(pilot, sleeping)
            await pilot.press("escape")
            await settled(pilot, lambda: not sleeping())
        assert "Canceled" in screen(app)


@pytest.mark.slow
async def test_a_plan_of_five_thousand_nodes_can_be_walked(films: Database) -> None:
    leaves = [node("Seq Scan", 0.01, Alias=f"t{n}") for n in range(4999)]
    document = json.dumps([{"Plan": node("Append", 99, *leaves)}])
    app = console(films)
    async with app.run_test(size=(140, 40)) as pilot:
        tab = await opened(pilot)
        await explained(pilot, tab, document)
        await pilot.press("down", "down", "enter")
        assert isinstance(app.screen, DetailDialog)


async def test_without_the_server_the_plan_stays_and_the_next_run_comes_back(
    films: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = console(films)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await explained(pilot, tab, "SELECT count(*) FROM film")
        there = app.target
        monkeypatch.setattr(app, "target", Target("test", {**films, "port": "1", "host": "/none"}))
        await pilot.press("ctrl+r")
        await settled(pilot, lambda: "NOT CONNECTED" in screen(app))
        assert "Seq Scan on film" in screen(app)
        monkeypatch.setattr(app, "target", there)
        await pilot.press("r")
        await settled(pilot, lambda: "planned" in screen(app) and "NOT CONN" not in screen(app))


async def test_a_role_that_may_not_read_is_told_so_in_the_tab(
    films: Database, limited_role: Callable[[Database], Database]
) -> None:
    app = console(limited_role(films))
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await asked(pilot, tab, "SELECT count(*) FROM film")
        await settled(pilot, lambda: "NOT ALLOWED" in screen(app))
        assert "rights of its statement" in screen(app)
        await explained(pilot, tab, "SELECT 1")
        assert "Result" in screen(app)
