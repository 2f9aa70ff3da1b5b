"""Activity: five views of real sessions, acting on the right one, and losing the server."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import run_sql
from sessions import Actor, stage
from textual.pilot import Pilot
from textual.widgets import Static

from console.local_server import LocalServer, find_binaries
from console.settings import Settings
from console.target import Target
from screens.activity import VIEWS, ActivityTab
from screens.app import ConsoleApp
from screens.plans import PlansTab
from screens.tabs import TABS
from screens.widgets.dialogs import ConfirmDialog, DetailDialog

Database = dict[str, Any]


@asynccontextmanager
async def on_activity(
    database: Database, *, size: tuple[int, int] = (80, 24), read_only: bool = False
) -> AsyncIterator[tuple[ConsoleApp, Pilot[Any], ActivityTab]]:
    app = ConsoleApp(Target("test", database), Settings(refresh_seconds=0.5), read_only=read_only)
    async with app.run_test(size=size, notifications=True) as pilot:
        number = next(n for n, entry in enumerate(TABS, 1) if entry.identity == "activity")
        await pilot.press(str(number))
        tab = app.active_tab
        assert isinstance(tab, ActivityTab)
        await settled(pilot, lambda: tab.looked is not None)
        yield app, pilot, tab


async def settled(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    for _attempt in range(600):
        if holds():
            return
        await pilot.pause(0.05)
    pytest.fail("never came to hold")


def cells(tab: ActivityTab) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in tab.view.table._shown.values()]


def shown(tab: ActivityTab, words: str) -> bool:
    return any(words in cell for row in cells(tab) for cell in row)


def in_front(tab: ActivityTab, view: str) -> Callable[[], bool]:
    """Whether that view has been answered."""
    return lambda: tab.looked is not None and tab.looked.view == view


def headline(tab: ActivityTab) -> str:
    return str(tab.query_one(".headline", Static).visual)


def remark(tab: ActivityTab) -> str:
    return str(tab.view.query_one(".view-remark", Static).visual)


@pytest.fixture
def enter(empty_db: Database) -> Any:
    with stage(empty_db) as enter:
        enter("setup").does(
            "CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 0)"
        )
        yield enter


async def test_who_works_is_shown_and_who_is_idle_on_demand(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("worker").starts("SELECT pg_sleep(60) AS working")
    enter("quiet").does("SELECT 1 AS resting")
    async with on_activity(empty_db) as (_app, pilot, tab):
        await settled(pilot, lambda: shown(tab, "working"))
        assert not shown(tab, "resting")
        assert "1 active" in headline(tab)
        await pilot.press("i")
        await settled(pilot, lambda: shown(tab, "resting"))


async def test_every_view_fits_a_small_and_a_large_terminal(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("root").does("BEGIN", "UPDATE t SET v = 1")
    enter("waiter").starts(f"UPDATE t SET v = 2 /* {'long ' * 60} */")
    async with on_activity(empty_db) as (_app, pilot, tab):
        for width, height in ((80, 24), (140, 40), (62, 16)):
            await pilot.resize_terminal(width, height)
            for key, identity, _title in VIEWS:
                await pilot.press(key)
                await settled(pilot, in_front(tab, identity))
                table = tab.view.table
                if width >= 80:
                    assert table.virtual_size.width <= width, identity
                assert table.size.height >= (4 if width >= 80 else 1), identity


async def test_the_blocking_tree_names_the_root_and_what_frees_the_others(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    root = enter("root").does("BEGIN", "UPDATE t SET v = 1")
    waiter = enter("waiter").starts("UPDATE t SET v = 2")
    async with on_activity(empty_db) as (_app, pilot, tab):
        await settled(pilot, lambda: "Locks 1" in headline(tab))
        await pilot.press("l")
        await settled(pilot, lambda: len(cells(tab)) == 2)
        assert cells(tab)[0][0] == str(root.pid)
        assert cells(tab)[1][0] == f"└ {waiter.pid}"
        assert "frees 1 session" in remark(tab)
        root.does("ROLLBACK")
        await settled(pilot, lambda: cells(tab) == [])
        assert "Nobody waits" in remark(tab)


async def test_canceling_asks_first_and_cancels_the_selected_session(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("first").starts("SELECT pg_sleep(60), 1")
    victim = enter("victim").starts("SELECT pg_sleep(60), 2")
    async with on_activity(empty_db) as (app, pilot, tab):
        await settled(pilot, lambda: len(cells(tab)) == 2)
        tab.view.table.select(
            next(k for k in tab.view.table._shown if k.startswith(str(victim.pid)))
        )
        await pilot.press("C")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        assert f"pid = {victim.pid}" in app.screen._statement
        await pilot.press("n")
        assert not victim.joined(0.3), "refused: it runs on"
        await pilot.press("C")
        await pilot.pause()
        await pilot.press("y")
        await settled(pilot, lambda: victim.joined(0.0))
        await settled(pilot, lambda: len(cells(tab)) == 1)


async def test_the_root_of_a_tree_can_be_terminated_where_it_is_seen(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("root").does("BEGIN", "UPDATE t SET v = 1")
    waiter = enter("waiter").starts("UPDATE t SET v = 2")
    async with on_activity(empty_db) as (app, pilot, tab):
        await pilot.press("l")
        await settled(pilot, lambda: len(cells(tab)) == 2)
        await pilot.press("K")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("y")
        await settled(pilot, lambda: waiter.joined(0.0))
        assert waiter.errors == []


async def test_the_cursor_stays_on_its_session_as_others_come(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("one").starts("SELECT pg_sleep(60), 1")
    second = enter("two").starts("SELECT pg_sleep(60), 2")
    async with on_activity(empty_db) as (_app, pilot, tab):
        await settled(pilot, lambda: len(cells(tab)) == 2)
        key = next(k for k in tab.view.table._shown if k.startswith(str(second.pid)))
        tab.view.table.select(key)
        await pilot.pause()
        enter("three").does("BEGIN", "UPDATE t SET v = 1")
        enter("four").starts("UPDATE t SET v = 2")
        await settled(pilot, lambda: len(cells(tab)) == 4)
        assert tab.view.selected_backend is not None
        assert tab.view.selected_backend.pid == second.pid


async def test_read_only_leaves_out_canceling_and_terminating(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("one").starts("SELECT pg_sleep(60)")
    async with on_activity(empty_db, read_only=True) as (app, pilot, tab):
        await settled(pilot, lambda: len(cells(tab)) == 1)
        await pilot.press("C", "K")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmDialog)


async def test_enter_shows_the_whole_statement_and_the_session(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("one").starts(f"SELECT pg_sleep(60), '{'x' * 600}' AS tail")
    async with on_activity(empty_db, size=(100, 50)) as (app, pilot, tab):
        await settled(pilot, lambda: len(cells(tab)) == 1)
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(app.screen, DetailDialog))
        assert "tail" in str(app.screen._copied)  # type: ignore[attr-defined]


async def test_a_running_statement_is_planned_and_not_run_again(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("one").starts("SELECT v, pg_sleep(60) FROM t WHERE id = 1")
    async with on_activity(empty_db, size=(100, 40)) as (app, pilot, tab):
        await settled(pilot, lambda: shown(tab, "pg_sleep"))
        await pilot.press("p")
        await settled(pilot, lambda: isinstance(app.active_tab, PlansTab))
        plans = app.active_tab
        assert isinstance(plans, PlansTab)
        await settled(pilot, lambda: plans.shown is not None)
        assert plans.shown is not None
        assert not plans.shown.is_analyzed
        assert "pg_sleep(60)" in plans.editor.text


async def test_progress_waits_and_io_show_what_goes_on(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("old").does("BEGIN", "UPDATE t SET v = 1")
    enter("builder").starts("CREATE INDEX CONCURRENTLY built ON t (v)")
    async with on_activity(empty_db, size=(140, 40)) as (_app, pilot, tab):
        await pilot.press("g")
        await settled(pilot, lambda: shown(tab, "create index t"))
        assert shown(tab, "2/10 waiting for writers")
        await pilot.press("w")
        await settled(pilot, lambda: shown(tab, "virtualxid"))
        assert "Lock" in remark(tab)
        await pilot.press("o")
        await settled(pilot, lambda: "checkpoints" in remark(tab))
        assert "WAL" in remark(tab)


async def test_hidden_sessions_are_said_with_the_grant_that_shows_them(
    empty_db: Database, limited_role: Callable[[Database], Database], enter: Callable[[str], Actor]
) -> None:
    limited = limited_role(empty_db)
    run_sql(empty_db, "REVOKE pg_read_all_stats FROM limited")
    try:
        async with on_activity(limited) as (_app, pilot, tab):
            await settled(pilot, lambda: "hidden" in remark(tab))
            assert "GRANT pg_read_all_stats" in remark(tab)
            await pilot.press("i")
            await settled(pilot, lambda: shown(tab, "hidden"))
    finally:
        run_sql(empty_db, "GRANT pg_read_all_stats TO limited")


async def test_a_lost_connection_keeps_the_sessions_and_comes_back(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("one").starts("SELECT pg_sleep(60)")
    async with on_activity(empty_db) as (_app, pilot, tab):
        await settled(pilot, lambda: len(cells(tab)) == 1)
        run_sql(
            empty_db,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'medianest-console'",
        )
        await settled(pilot, lambda: tab.has_class("-stale"))
        assert len(cells(tab)) == 1
        await pilot.press("r")
        await settled(pilot, lambda: not tab.has_class("-stale"))


@pytest.mark.slow
@pytest.mark.parametrize("major", [18, 15])
async def test_after_a_failover_to_a_standby_the_tab_says_read_only_and_goes_on(major: int) -> None:
    """Two servers in one address, as applications name them; the first one goes away."""
    root = Path(tempfile.mkdtemp(prefix="console-failover-", dir="/tmp"))
    settings = {"wal_level": "replica", "hot_standby": "on", "fsync": "off", "max_wal_senders": "4"}
    binaries = find_binaries(major)
    primary = LocalServer(binaries, root / "primary", settings, tcp_port=0)
    standby = LocalServer(binaries, root / "standby", settings, tcp_port=0)
    root.chmod(0o755)
    try:
        with primary, standby:
            follow(binaries, primary, standby)
            places = [primary.conninfo("postgres"), standby.conninfo("postgres")]
            both = {
                "user": places[0]["user"],
                "dbname": "postgres",
                "password": primary.directory.password(places[0]["user"]),
                "host": ",".join(place["host"] for place in places),
                "port": ",".join(place["port"] for place in places),
            }
            async with on_activity(both) as (_app, pilot, tab):
                assert "standby" not in headline(tab)
                primary.stop(immediately=True)
                await settled(pilot, lambda: "standby: read-only" in headline(tab))
                assert not tab.has_class("-stale")
                for key, identity, _title in VIEWS:
                    await pilot.press(key)
                    await settled(pilot, in_front(tab, identity))
                    assert tab.looked is not None
                    assert tab.looked.answer.error is None, identity
    finally:
        shutil.rmtree(root, ignore_errors=True)


def follow(binaries: Path, primary: LocalServer, standby: LocalServer) -> None:
    """Make the standby a copy of the primary that repeats what it does."""
    standby.stop()
    data = standby.data_directory
    shutil.rmtree(data)
    source = primary.conninfo("postgres")
    tool = binaries / "pg_basebackup"
    subprocess.run(
        [
            str(tool), "-D", str(data), "-h", source["host"], "-p", source["port"],
            "-U", source["user"], "-X", "stream", "-c", "fast", "-R",
        ],
        check=True,
        capture_output=True,
        env={"PGPASSFILE": source["passfile"], "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    owner = (standby.data_directory.parent).stat()
    for path in (data, *data.rglob("*")):
        shutil.os.chown(path, owner.st_uid, owner.st_gid)  # type: ignore[attr-defined]
    standby.start()
