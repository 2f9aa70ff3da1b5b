"""The Foreign keys tab: rules and states, the graph, orphans on demand, and VALIDATE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from conftest import Database, run_sql
from textual.widgets import Static

from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.foreign_keys import ForeignKeysTab
from screens.widgets.dialogs import ConfirmDialog, DetailDialog
from screens.widgets.running import ActionDialog, WaitingDialog

# What differs between servers is held by the console's own tests.
pytestmark = pytest.mark.parametrize("server", ["pg18"], indirect=True)

NUMBER = "4"
NAME = "sessions_user_id_fkey"


def console(database: Database, **settings: Any) -> ConsoleApp:
    return ConsoleApp(Target("test", database), Settings(**settings))


async def until(app: ConsoleApp, pilot: Any, holds: Callable[[], bool]) -> None:
    for _attempt in range(200):
        if holds():
            return
        await pilot.pause(0.05)
    pytest.fail(f"never came to hold: {drawn(app)}")


def drawn(app: ConsoleApp) -> str:
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


async def opened(app: ConsoleApp, pilot: Any) -> ForeignKeysTab:
    await pilot.press(NUMBER)
    await until(app, pilot, lambda: app.active_tab.loaded_at is not None)
    await pilot.pause()
    tab = app.active_tab
    assert isinstance(tab, ForeignKeysTab)
    return tab


def said(app: ConsoleApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).visual)


def select(tab: ForeignKeysTab, name: str) -> None:
    assert tab.overview is not None
    key = next(k for k in tab.overview.keys if k.constraint.name == name)
    tab.table.move_cursor(row=tab.table.get_row_index(key.key))


@pytest.fixture
def not_validated(medianest_db: Database) -> Database:
    run_sql(
        medianest_db,
        f"ALTER TABLE sessions DROP CONSTRAINT {NAME}",
        f"ALTER TABLE sessions ADD CONSTRAINT {NAME} FOREIGN KEY (user_id) REFERENCES users"
        " ON DELETE CASCADE ON UPDATE CASCADE NOT VALID",
    )
    return medianest_db


def orphan(database: Database) -> None:
    run_sql(
        database,
        "SET session_replication_role = replica;"
        " DELETE FROM users WHERE id = (SELECT user_id FROM sessions LIMIT 1)",
    )


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_rules_and_states_fit_the_screen(
    not_validated: Database, size: tuple[int, int]
) -> None:
    app = console(not_validated)
    async with app.run_test(size=size) as pilot:
        tab = await opened(app, pilot)
        assert "8 foreign keys" in said(app, ".headline")
        assert "7 valid" in said(app, ".headline")
        first = [cell.plain for cell in tab.table.get_row_at(0)]
        assert first[0] == "! WARN"
        assert first[1:4] == ["sessions (user_id)", "users (id)", "cascade"]
        assert "not validated" in first
        assert tab.table.virtual_size.width <= size[0]


async def test_details_draw_the_tables_around(medianest_db: Database) -> None:
    app = console(medianest_db)
    async with app.run_test(size=(140, 40)) as pilot:
        tab = await opened(app, pilot)
        select(tab, NAME)
        await pilot.press("enter")
        await until(app, pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.pause()
        assert "└─ user_id → users (id)  on delete cascade" in drawn(app)
        assert "← media_requests (user_id)  on delete restrict" in drawn(app)


async def test_orphans_are_counted_on_demand(medianest_db: Database) -> None:
    orphan(medianest_db)
    app = console(medianest_db)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        select(tab, NAME)
        await pilot.press("o")
        await until(app, pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.pause()
        assert "without a target in" in drawn(app)
        await pilot.press("escape")
        select(tab, "media_requests_user_id_fkey")


async def test_a_count_that_waits_can_be_canceled(medianest_db: Database) -> None:
    app = console(medianest_db)
    with psycopg.connect(**medianest_db) as holder:
        async with app.run_test(size=(80, 24)) as pilot:
            tab = await opened(app, pilot)
            select(tab, NAME)
            holder.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
            await pilot.press("o")
            await until(app, pilot, lambda: isinstance(app.screen, WaitingDialog | DetailDialog))
            if isinstance(app.screen, WaitingDialog):
                await pilot.press("escape")
            await until(app, pilot, lambda: not isinstance(app.screen, WaitingDialog))
            assert app.is_running


async def test_validating_fails_with_words_and_then_succeeds(not_validated: Database) -> None:
    orphan(not_validated)
    app = console(not_validated)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        select(tab, NAME)
        await pilot.press("V")
        await until(app, pilot, lambda: isinstance(app.screen, ConfirmDialog))
        assert f"VALIDATE CONSTRAINT {NAME};" in said(app, ".statement")
        await pilot.press("y")
        await until(app, pilot, lambda: isinstance(app.screen, ActionDialog))
        await until(app, pilot, lambda: "FAILED" in said(app, "#progress"))
        assert "Rows without a target exist" in said(app, "#progress")
        await pilot.press("escape")
        run_sql(not_validated, "DELETE FROM sessions WHERE user_id NOT IN (SELECT id FROM users)")
        await until(app, pilot, lambda: app.screen is app.screen_stack[0])
        await pilot.press("V", "y")
        await until(app, pilot, lambda: isinstance(app.screen, ActionDialog))
        await until(app, pilot, lambda: "DONE" in said(app, "#progress"))
        await pilot.press("escape")
        await until(app, pilot, lambda: "8 valid" in said(app, ".headline"))
        await pilot.press("V")
        await pilot.pause()
        assert app.screen is app.screen_stack[0], "a valid key has nothing to validate"


async def test_read_only_can_count_but_not_validate(not_validated: Database) -> None:
    app = ConsoleApp(Target("test", not_validated), Settings(), read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        select(tab, NAME)
        await pilot.press("V")
        await pilot.pause()
        assert app.screen is app.screen_stack[0]
        await pilot.press("o")
        await until(app, pilot, lambda: isinstance(app.screen, DetailDialog))


async def test_without_select_the_count_says_what_to_grant(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    app = console(limited_role(medianest_db))
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        select(tab, NAME)
        await pilot.press("o")
        await until(app, pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.pause()
        assert "GRANT SELECT ON public.sessions TO" in drawn(app)
