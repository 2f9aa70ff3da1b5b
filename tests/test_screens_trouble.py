"""Timings, Activity and Plans in bad times: each says what is wrong, and goes on afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Database, run_sql
from test_screens_activity import follow
from textual.pilot import Pilot
from textual.widgets import Static

from console.errors import ExitCode
from console.local_server import LocalServer, find_binaries
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.plans import PlansTab

SETTINGS = {
    "wal_level": "replica",
    "hot_standby": "on",
    "fsync": "off",
    "max_wal_senders": "4",
    "shared_preload_libraries": "pg_stat_statements",
}
LIVE_TABS = ("6", "7")
"""Timings and Activity."""


def console(database: Any) -> ConsoleApp:
    return ConsoleApp(Target("test", database), Settings(refresh_seconds=0.5))


async def until(pilot: Pilot[ExitCode], holds: Callable[[], bool]) -> None:
    for _attempt in range(200):
        if holds():
            return
        await pilot.pause(0.1)
    pytest.fail(f"never came to hold: {front(pilot)}")


def front(pilot: Pilot[ExitCode]) -> str:
    """Everything that the tab in front says in words."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    return "\n".join(str(part.visual) for part in app.active_tab.query(Static) if part.display)


def banner(pilot: Pilot[ExitCode]) -> str:
    return str(pilot.app.screen_stack[0].query_one("#banner", Static).visual)


async def planned(pilot: Pilot[ExitCode], statement: str) -> PlansTab:
    """Explain a statement on the Plans tab."""
    await pilot.press("9")
    await pilot.pause(0.2)
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    tab = app.active_tab
    assert isinstance(tab, PlansTab)
    tab.open_statement(statement)
    await pilot.pause(0.1)
    return tab


@pytest.fixture
def root() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="console-trouble-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.slow
async def test_a_server_that_goes_is_said_on_every_tab_and_each_comes_back(root: Path) -> None:
    server = LocalServer(find_binaries(18), root / "server", SETTINGS)
    with server:
        run_sql(server.conninfo("postgres"), "CREATE EXTENSION pg_stat_statements")
        app = console(server.conninfo("postgres"))
        async with app.run_test(size=(80, 24)) as pilot:
            for key in LIVE_TABS:
                await pilot.press(key)
                await until(pilot, lambda: app.active_tab.loaded_at is not None)
            await server.stop_async()
            for key in LIVE_TABS:
                await pilot.press(key)
                await until(pilot, lambda: app.active_tab.has_class("-stale"))
                assert "CANNOT CONNECT" in front(pilot)
                assert "STALE, as read at" in front(pilot)
            plans = await planned(pilot, "SELECT count(*) FROM pg_class")
            await until(pilot, lambda: "CANNOT CONNECT" in front(pilot))
            await server.start_async()
            plans.action_run()
            await until(pilot, lambda: plans.shown is not None)
            for key in LIVE_TABS:
                await pilot.press(key, "r")
                await until(pilot, lambda: not app.active_tab.has_class("-stale"))
                assert "CANNOT CONNECT" not in front(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("major", [18, 15])
async def test_after_a_failover_to_a_standby_every_tab_reads_on_and_writing_is_refused(
    major: int, root: Path
) -> None:
    binaries = find_binaries(major)
    primary = LocalServer(binaries, root / "primary", SETTINGS, tcp_port=0)
    standby = LocalServer(binaries, root / "standby", SETTINGS, tcp_port=0)
    with primary, standby:
        run_sql(
            primary.conninfo("postgres"),
            "CREATE EXTENSION pg_stat_statements",
            "CREATE TABLE item AS SELECT 1 AS id",
        )
        follow(binaries, primary, standby)
        places = [primary.conninfo("postgres"), standby.conninfo("postgres")]
        both = {
            "user": places[0]["user"],
            "dbname": "postgres",
            "password": primary.directory.password(places[0]["user"]),
            "host": ",".join(place["host"] for place in places),
            "port": ",".join(place["port"] for place in places),
        }
        app = console(both)
        async with app.run_test(size=(80, 24)) as pilot:
            for key in LIVE_TABS:
                await pilot.press(key)
                await until(pilot, lambda: app.active_tab.loaded_at is not None)
            primary.stop(immediately=True)
            for key in LIVE_TABS:
                await pilot.press(key, "r")
                await until(pilot, lambda: "postgres · standby" in banner(pilot))
                await until(pilot, lambda: not app.active_tab.has_class("-stale"))
            plans = await planned(pilot, "SELECT * FROM item")
            await until(pilot, lambda: plans.shown is not None)
            await pilot.press("a")
            plans.editor.load_text("UPDATE item SET id = 2")
            plans.action_run()
            await until(pilot, lambda: len(app.screen_stack) == 2)
            await pilot.press("y")
            await until(pilot, lambda: "This server is a standby" in front(pilot))


async def test_what_a_role_may_not_is_said_and_a_grant_is_enough(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    run_sql(
        medianest_db,
        "REVOKE pg_read_all_stats FROM limited",
        "REVOKE SELECT ON pg_stat_statements FROM PUBLIC",
    )
    app = console(limited)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("6")
            await until(pilot, lambda: "may not read" in front(pilot))
            assert "sampled" in front(pilot).lower()
            plans = await planned(pilot, "SELECT * FROM users")
            await until(pilot, lambda: "NOT ALLOWED" in front(pilot))
            assert plans.shown is None
            run_sql(
                medianest_db,
                "GRANT pg_read_all_stats TO limited",
                "GRANT SELECT ON pg_stat_statements, users TO limited",
            )
            plans.action_run()
            await until(pilot, lambda: plans.shown is not None)
            await pilot.press("6", "r")
            await until(pilot, lambda: "may not read" not in front(pilot))
    finally:
        run_sql(medianest_db, "GRANT pg_read_all_stats TO limited")
