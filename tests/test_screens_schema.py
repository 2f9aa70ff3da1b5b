"""The Schema tab: the tree, its details, its filter and its keys, on real servers."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
from conftest import Database, run_sql
from rich.console import Console
from test_console_schema import make_many_tables
from textual.widgets import Static

from console.local_server import LocalServer
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.schema import SchemaTab
from screens.schema_tree import PAGE, SchemaTree
from screens.widgets.plain import many_lines, one_line

NARROW, LARGE = (80, 24), (140, 40)


def console(database: Database) -> ConsoleApp:
    return ConsoleApp(Target("test", database), Settings())


async def settled(pilot: Any, holds: Callable[[], bool], seconds: float = 8) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "never came to hold:\n" + screen(pilot.app)
        await pilot.pause(0.02)


async def opened(pilot: Any) -> SchemaTab:
    """The app on its Schema tab, filled."""
    await pilot.press("2")
    await settled(pilot, lambda: pilot.app.active_tab.IDENTITY == "schema")
    tab = pilot.app.active_tab
    assert isinstance(tab, SchemaTab)
    await settled(pilot, lambda: tab.inventory is not None)
    await pilot.pause()
    return tab


def screen(app: ConsoleApp) -> str:
    return "\n".join(
        "".join(segment.text for segment in line)
        for line in app.screen._compositor.render_strips()  # what the terminal would show
    )


def labels(tree: SchemaTree) -> list[str]:
    """The lines of the tree as they are drawn, without their guides."""
    lines = [tree.get_node_at_line(number) for number in range(tree.last_line + 1)]
    return [str(node.label).strip() for node in lines if node is not None]


def names(tree: SchemaTree) -> list[str]:
    return [label.split("  ")[0] for label in labels(tree)]


def told(app: ConsoleApp) -> str:
    """What the details say, unwrapped."""
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(app.query_one("#schema-text", Static).content)
    return capture.get()


async def to(pilot: Any, tree: SchemaTree, name: str) -> None:
    """Move the cursor onto a line."""
    await settled(pilot, lambda: name in names(tree))
    tree.cursor_line = names(tree).index(name)
    await pilot.pause()


def is_told(app: ConsoleApp, title: str) -> bool:
    return title in told(app)


async def test_the_tree_opens_on_the_tables_with_the_verdict_above(medianest_db: Database) -> None:
    app = console(medianest_db)
    async with app.run_test(size=NARROW) as pilot:
        tab = await opened(pilot)
        shown = names(tab.objects)
        assert shown[:2] == ["public", "Tables"]
        assert "users" in shown
        assert "youtube_downloads" in shown
        text = screen(app)
        assert "12 tables · 34 indexes" in text
        assert "WARN" in text or "OK" in text
        assert not app.query_one("#schema-details").display


async def test_a_narrow_terminal_opens_the_details_over_the_tree(medianest_db: Database) -> None:
    app = console(medianest_db)
    async with app.run_test(size=NARROW) as pilot:
        tab = await opened(pilot)
        await to(pilot, tab.objects, "media_requests")
        await pilot.press("enter")
        await settled(pilot, lambda: "media_requests_pkey" in told(app))
        assert app.query_one("#schema-details").display
        assert not tab.objects.display
        assert "public.media_requests  table" in screen(app)
        await pilot.press("d")
        await settled(pilot, lambda: "CREATE TABLE public.media_requests (" in screen(app))
        await pilot.press("escape")
        await pilot.pause()
        assert tab.objects.display
        assert tab.objects.has_focus
        await pilot.press("enter")
        await settled(pilot, lambda: "owner" in screen(app))
        assert "CREATE TABLE" not in screen(app)


async def test_a_wide_terminal_shows_what_the_cursor_is_on(medianest_db: Database) -> None:
    app = console(medianest_db)
    async with app.run_test(size=LARGE) as pilot:
        tab = await opened(pilot)
        assert "public  schema" in told(app)
        await to(pilot, tab.objects, "users")
        await settled(pilot, lambda: "users_email_key" in told(app))
        text = screen(app)
        assert "Columns (" in text
        assert "password_hash" in text
        await pilot.press("d")
        await settled(pilot, lambda: "CREATE UNIQUE INDEX users_email_key" in told(app))
        await pilot.press("y")
        assert "CREATE TABLE public.users (" in app.clipboard
        assert app.clipboard.startswith("-- Owner: medianest")


async def test_a_table_opens_into_its_parts(odd_db: Database) -> None:
    app = console(odd_db)
    async with app.run_test(size=LARGE) as pilot:
        tab = await opened(pilot)
        tree = tab.objects
        await to(pilot, tree, "guarded")
        await pilot.press("right")
        await settled(pilot, lambda: "policies" in names(tree))
        assert {"columns", "keys", "indexes", "triggers", "rules"} <= set(names(tree))
        await to(pilot, tree, "triggers")
        await pilot.press("enter")
        await settled(
            pilot, lambda: "asleep  DISABLED" in " ".join(labels(tree)).replace("   ", " ")
        )
        await to(pilot, tree, "events")
        await pilot.press("right")
        await to(pilot, tree, "partitions")
        await pilot.press("right")
        await settled(pilot, lambda: "events 2025" in names(tree))
        await pilot.press("right")
        await pilot.press("left", "left", "left")
        assert str(tree.cursor_node.label if tree.cursor_node else "").startswith("events")


async def test_the_filter_finds_and_gives_the_tree_back(odd_db: Database) -> None:
    app = console(odd_db)
    async with app.run_test(size=NARROW) as pilot:
        tab = await opened(pilot)
        before = names(tab.objects)
        await pilot.press("slash", *"TAB le")
        await settled(pilot, lambda: len(names(tab.objects)) == 2)
        assert names(tab.objects)[0] == 'we"ird;Sch éma.we"ird;Tab le'
        await settled(pilot, lambda: "kB" in labels(tab.objects)[0])
        await pilot.press("enter")
        assert tab.objects.has_focus
        await pilot.press("escape")
        await settled(pilot, lambda: names(tab.objects) == before)
        await pilot.press("slash", *"[/foo]")
        await settled(pilot, lambda: names(tab.objects) == [])


async def test_refreshing_keeps_what_is_open_and_selected(
    odd_db: Database,
) -> None:
    app = console(odd_db)
    async with app.run_test(size=LARGE) as pilot:
        tab = await opened(pilot)
        tree = tab.objects
        await to(pilot, tree, "leaves")
        await pilot.press("right")
        await to(pilot, tree, "columns")
        await pilot.press("right")
        await to(pilot, tree, "weird")
        run_sql(
            odd_db,
            'CREATE TABLE odd."A[/foo]\n\x1b[31m" (id integer)',
            "ALTER TABLE odd.leaves ADD COLUMN added text",
        )
        first = tab.inventory
        await pilot.press("r")
        await settled(pilot, lambda: tab.inventory is not first)
        await settled(pilot, lambda: "added" in names(tree))
        assert "A[/foo]␊␛[31m" in names(tree)
        assert "\x1b" not in screen(app)
        assert tree.cursor_node is not None
        assert str(tree.cursor_node.label).startswith("weird")


@pytest.mark.slow
async def test_every_object_of_an_odd_database_can_be_shown(odd_db: Database) -> None:
    app = console(odd_db)
    async with app.run_test(size=LARGE) as pilot:
        tab = await opened(pilot)
        assert tab.inventory is not None
        for entry in tab.inventory.entries:
            tab.filter_text = entry.schema.casefold() + " " + entry.title.casefold()
            tab.refilter()
            title = one_line(entry.title).plain
            await settled(pilot, partial(is_told, app, title))
        assert len(tab.objects.details) >= 20


async def test_a_locked_table_is_said_to_be_locked(medianest_db: Database) -> None:
    app = console(medianest_db)
    with psycopg.connect(**medianest_db) as locker:
        locker.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        async with app.run_test(size=LARGE) as pilot:
            tab = await opened(pilot)
            await to(pilot, tab.objects, "users")
            await settled(pilot, lambda: "ACCESS EXCLUSIVE" in told(app), seconds=3)
            assert "password_hash" in told(app)


async def test_a_table_dropped_meanwhile_is_said_to_be_gone(medianest_db: Database) -> None:
    app = console(medianest_db)
    async with app.run_test(size=LARGE) as pilot:
        tab = await opened(pilot)
        run_sql(medianest_db, "DROP TABLE error_logs")
        await to(pilot, tab.objects, "error_logs")
        await settled(pilot, lambda: "no longer exists" in told(app))
        assert "Read the schema again with r." in told(app)


def test_server_text_can_neither_steer_the_terminal_nor_be_markup() -> None:
    hostile = "a\x1b[2J\x07[/foo]\r\nb\x9b1m\u202edcba"
    assert one_line(hostile).plain == "a␛[2J␇[/foo]␍␊b�1m�dcba"
    assert many_lines(hostile).plain == "a␛[2J␇[/foo]\nb�1m�dcba"


@pytest.mark.slow
async def test_ten_thousand_tables_stay_responsive(server18: LocalServer) -> None:
    admin = server18.conninfo("postgres")
    run_sql(admin, "DROP DATABASE IF EXISTS many_screens", "CREATE DATABASE many_screens")
    database = server18.conninfo("many_screens")
    make_many_tables(database, 10_000)
    app = console(database)
    figures = {}

    async with app.run_test(size=LARGE) as pilot:
        started = time.monotonic()
        tab = await opened(pilot)
        tree = tab.objects
        figures["first tree"] = time.monotonic() - started
        assert len(names(tree)) == PAGE + 5
        assert "… 9,800 more: enter shows the next, / filters" in labels(tree)
        await to(pilot, tree, "… 9,800 more: enter shows the next, / filters")
        started = time.monotonic()
        await pilot.press("enter")
        await settled(pilot, lambda: len(names(tree)) == 2 * PAGE + 5)
        figures["next page"] = time.monotonic() - started
        started = time.monotonic()
        await pilot.press("slash", *"t9999")
        await settled(pilot, lambda: names(tree) == ["many.t9999"])
        figures["six keys of filter"] = time.monotonic() - started
        started = time.monotonic()
        await settled(pilot, lambda: "t9999_pkey" in told(app))
        figures["details"] = time.monotonic() - started
        started = time.monotonic()
        await pilot.press("escape")
        await settled(pilot, lambda: len(names(tree)) == 2 * PAGE + 5)
        figures["the tree again"] = time.monotonic() - started
    run_sql(admin, "DROP DATABASE many_screens WITH (FORCE)")
    print(", ".join(f"{what} {seconds:.2f} s" for what, seconds in figures.items()))
    assert figures["first tree"] < 3
    assert max(figures.values()) < 3
