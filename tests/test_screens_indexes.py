"""The Indexes tab: what it says first, what its keys do, and that an action asks before it acts."""

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
from screens.indexes import IndexesTab
from screens.widgets.dialogs import ConfirmDialog, DetailDialog
from screens.widgets.running import ActionDialog

# What differs between servers is held by the console's own tests.
pytestmark = pytest.mark.parametrize("server", ["pg18"], indirect=True)

NUMBER = "3"


def console(database: Database, **settings: Any) -> ConsoleApp:
    return ConsoleApp(Target("test", database), Settings(**settings))


async def until(app: ConsoleApp, pilot: Any, holds: Callable[[], bool]) -> None:
    for _attempt in range(200):
        if holds():
            return
        await pilot.pause(0.05)
    pytest.fail(f"never came to hold: {drawn(app)}")


def drawn(app: ConsoleApp) -> str:
    """Everything on the screen, as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


async def opened(app: ConsoleApp, pilot: Any) -> IndexesTab:
    await pilot.press(NUMBER)
    await until(app, pilot, lambda: app.active_tab.loaded_at is not None)
    await pilot.pause()
    tab = app.active_tab
    assert isinstance(tab, IndexesTab)
    return tab


def said(app: ConsoleApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).visual)


def select(tab: IndexesTab, name: str) -> None:
    keys = [line.key for line in tab.table._ordered() if line.record is not None]
    names = [line.record.index.name for line in tab.table._ordered() if line.record is not None]
    tab.table.move_cursor(row=tab.table.get_row_index(keys[names.index(name)]))


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_verdict_comes_first_and_the_columns_fit(
    medianest_db: Database, size: tuple[int, int]
) -> None:
    run_sql(medianest_db, "DROP INDEX users_email_key")
    app = console(medianest_db)
    async with app.run_test(size=size) as pilot:
        tab = await opened(app, pilot)
        assert "FAIL" in said(app, ".headline")
        assert "33 indexes" in said(app, ".headline")
        assert "5 of 6 critical" in said(app, ".headline")
        first = tab.table.get_row_at(0)
        assert "(missing) public.users_email_key" in first[1].plain
        assert tab.table.virtual_size.width <= size[0]
        titles = [column.label.plain for column in tab.table.columns.values()]
        assert {"index", "size", "scans"} <= set(titles)
        assert ("on" in titles) == (size[0] == 140)


async def test_filter_sort_and_details(medianest_db: Database) -> None:
    run_sql(medianest_db, "CREATE INDEX another ON users (lower(email)) WHERE role = '[/x]'")
    app = console(medianest_db)
    async with app.run_test(size=(140, 40)) as pilot:
        tab = await opened(app, pilot)
        await pilot.press("slash", *"expression", "enter")
        await until(app, pilot, lambda: tab.table.row_count == 1)
        await pilot.press("enter")
        await until(app, pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.pause()
        assert "CREATE INDEX another ON public.users" in drawn(app)
        assert "'[/x]'" in drawn(app)
        await pilot.press("escape")
        await pilot.press("escape")
        await until(app, pilot, lambda: tab.table.row_count > 30)
        while tab.table.specs[tab.table.sorted_by or 0].title != "size":
            await pilot.press("s")
        sizes = [line.record.bytes for line in tab.table._ordered() if line.record]
        assert sizes == sorted(sizes, reverse=True, key=lambda size: size or 0)


async def test_the_selected_index_stays_selected_when_others_come(medianest_db: Database) -> None:
    app = console(medianest_db)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        select(tab, "users_pkey")
        run_sql(
            medianest_db, "CREATE INDEX aaa ON users (name)", "CREATE INDEX aab ON users (name)"
        )
        before = tab.loaded_at
        await pilot.press("r")
        await until(app, pilot, lambda: tab.loaded_at != before)
        await until(app, pilot, lambda: "[duplicate]" in tab.table.get_row_at(0)[1].plain)
        line = tab.table.selected
        assert line is not None
        assert line.record is not None
        assert line.record.index.name == "users_pkey"


async def test_copying_takes_the_fix(medianest_db: Database) -> None:
    run_sql(medianest_db, "CREATE INDEX zzz ON sessions (user_id)")
    app = console(medianest_db)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        select(tab, "zzz")
        await pilot.press("y")
        assert app.clipboard == "DROP INDEX CONCURRENTLY public.zzz;"


def filenode(database: Database) -> object:
    with psycopg.connect(**database) as connection:
        row = connection.execute(
            "SELECT relfilenode FROM pg_class WHERE relname = 'users_pkey'"
        ).fetchone()
    assert row is not None
    return row[0]


async def test_rebuilding_asks_first_and_then_does_it(medianest_db: Database) -> None:
    before = filenode(medianest_db)
    app = console(medianest_db)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        select(tab, "users_pkey")
        await pilot.press("R")
        await until(app, pilot, lambda: isinstance(app.screen, ConfirmDialog))
        assert "REINDEX INDEX CONCURRENTLY public.users_pkey;" in said(app, ".statement")
        await pilot.press("n")
        await pilot.pause()
        assert filenode(medianest_db) == before
        await pilot.press("R", "y")
        await until(app, pilot, lambda: isinstance(app.screen, ActionDialog))
        await until(app, pilot, lambda: "DONE" in said(app, "#progress"))
        assert filenode(medianest_db) != before
        await pilot.press("escape")
        await until(app, pilot, lambda: app.screen is app.screen_stack[0])


async def test_a_canceled_rebuild_offers_to_drop_what_it_left(medianest_db: Database) -> None:
    app = console(medianest_db)
    with psycopg.connect(**medianest_db) as holder:
        holder.execute("UPDATE users SET name = 'x'")
        async with app.run_test(size=(80, 24)) as pilot:
            tab = await opened(app, pilot)
            select(tab, "users_pkey")
            await pilot.press("R", "y")
            await until(app, pilot, lambda: isinstance(app.screen, ActionDialog))
            pid = holder.info.backend_pid
            await until(app, pilot, lambda: f"waits for process {pid} " in said(app, "#progress"))
            await pilot.press("escape")
            await until(app, pilot, lambda: "CANCELED" in said(app, "#progress"))
            assert "users_pkey_ccnew" in said(app, "#progress")
            holder.rollback()
            await pilot.press("escape")
            await until(app, pilot, lambda: isinstance(app.screen, ConfirmDialog))
            assert "DROP INDEX CONCURRENTLY public.users_pkey_ccnew;" in said(app, ".statement")
            await pilot.press("y")
            await until(app, pilot, lambda: isinstance(app.screen, ActionDialog))
            await until(app, pilot, lambda: "DONE" in said(app, "#progress"))
            await pilot.press("escape")
            await pilot.pause()
            assert "ccnew" not in drawn(app)


async def test_read_only_has_no_actions(medianest_db: Database) -> None:
    app = ConsoleApp(Target("test", medianest_db), Settings(), read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("R")
        await pilot.press("D")
        await pilot.pause()
        assert app.screen is app.screen_stack[0]
        assert "reindex" not in drawn(app)


async def test_hostile_names_are_drawn_as_they_are(empty_db: Database) -> None:
    run_sql(
        empty_db,
        'CREATE TABLE "we""ird;Tab le" ("[red]" int)',
        'CREATE INDEX "[/b]\x1b[31m" ON "we""ird;Tab le" ("[red]")',
        'CREATE INDEX "Ünïcode 日本" ON "we""ird;Tab le" ("[red]")',
    )
    app = console(empty_db)
    async with app.run_test(size=(140, 40)) as pilot:
        tab = await opened(app, pilot)
        await pilot.press("enter")
        await until(app, pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.press("escape")
        assert "Ünïcode 日本" in drawn(app)
        assert "[/b]" in drawn(app)
        assert "\x1b" not in drawn(app)
        assert tab.table.row_count == 2
        await pilot.press("question_mark")
        await until(app, pilot, lambda: isinstance(app.screen, DetailDialog))
