"""The fleet over the tabs: every target's line, and going to another one with one key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import builders
import psycopg
import pytest
from conftest import Database
from psycopg.conninfo import make_conninfo
from textual.pilot import Pilot
from textual.widgets import Static
from textual.widgets._footer import FooterKey

from console.cluster import Cluster, Manager
from console.findings import Finding, Severity
from console.fleet import Answer, Live, Member, Watch, _member
from console.settings import Settings, TargetSettings, named_target
from console.target import Target
from queries.health import ReplicationSlot
from queries.replication import Follower, Place
from screens.app import ConsoleApp
from screens.fleet import FleetScreen
from screens.overview import OverviewTab
from screens.widgets.dialogs import DetailDialog

SIZES = [(80, 24), (140, 40)]


def fleet_of(**urls: str) -> Settings:
    return Settings(targets={name: TargetSettings(url=url) for name, url in urls.items()})


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    for _attempt in range(200):
        if holds():
            return
        await pilot.pause(0.1)
    pytest.fail(f"never came to hold; the screen is {pilot.app.screen}")


def text_of(app: ConsoleApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).visual)


async def opened(pilot: Pilot[Any]) -> FleetScreen:
    app = pilot.app
    await pilot.press("f2")
    await until(pilot, lambda: isinstance(app.screen, FleetScreen))
    screen = app.screen
    assert isinstance(screen, FleetScreen)
    await until(pilot, lambda: bool(screen.table.row_count) or not screen._settings.targets)
    return screen


async def test_enter_makes_all_tabs_about_another_target(
    empty_db: Database, mute_port: int
) -> None:
    other = {**empty_db, "dbname": "postgres"}
    settings = fleet_of(
        dead="postgresql://127.0.0.1:1/none",
        home=make_conninfo(**empty_db),
        mute=f"postgresql://127.0.0.1:{mute_port}/none",
        wrong="mysql://there/db",
        other=make_conninfo(**other),
    )
    app = ConsoleApp(named_target(settings, "home"), settings)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: app.active_tab.loaded_at is not None)
        before = app.session
        screen = await opened(pilot)
        assert screen.table.selected is not None
        assert screen.table.selected.name == "home", "the cursor begins where the console is"
        assert "5 targets: 3 are down" in text_of(app, "#fleet-headline")

        await pilot.press("down", "down", "enter")
        assert app.screen is screen, "an entry that cannot be used is no place to go to"
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.target.name == "other")
        await until(pilot, lambda: app._active is not None and app.active_tab.loaded_at is not None)
        assert app.active_tab.IDENTITY == "schema", "the same tab stays in front"
        assert app.session is not before
        connection = await app.session.connection()
        assert connection.info.dbname == "postgres"
    with psycopg.connect(**other) as left:
        row = left.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'medianest-console'"
        ).fetchone()
    assert row == (0,), "no session of a target that was left stays behind"


async def test_going_back_leaves_everything_as_it_was(empty_db: Database) -> None:
    settings = fleet_of(home=make_conninfo(**empty_db))
    app = ConsoleApp(named_target(settings, "home"), settings)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.active_tab.loaded_at is not None)
        session = app.session
        await opened(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not isinstance(app.screen, FleetScreen))
        assert app.session is session
        seen = app.active_tab.loaded_at
        await until(pilot, lambda: app.active_tab.loaded_at != seen)


async def test_without_targets_it_says_how_to_add_one(empty_db: Database) -> None:
    app = ConsoleApp(Target("home", empty_db), Settings())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "name no target" in text_of(app, "#fleet-headline")
        await pilot.press("enter", "r", "escape")
        await until(pilot, lambda: not isinstance(app.screen, FleetScreen))


def members() -> tuple[Member, ...]:
    """One that is well, one with warnings, a standby behind, one that is down."""
    now = builders.NOW
    primary, behind = Place(False, None, None, False), Place(True, 48 << 20, 12.0, True)
    well = Live(builders.SERVER, builders.sample(), primary, 1_300_000_000)
    standby = replace(well, place=behind, database_bytes=1_290_000_000)
    around = Cluster(
        followers=(Follower("spare", "rep", "10.0.0.7", "streaming", "async", 48 << 20, 12.0),),
        slots=(ReplicationSlot("spare", "physical", True, "reserved", 16 << 20),),
        manager=Manager("Patroni", "shop", False, "its command line", "Use patronictl."),
    )
    busy = replace(well, sample=builders.sample(connections=90, waiting_for_lock=3), cluster=around)
    alert = Finding(
        "agent.backup", Severity.WARNING, "nightly", "The last backup failed.", fix="see its log"
    )
    made = (
        _member("home", Answer("medianest @ 10.0.0.5:5432", well), None, (), now),
        _member("shop", Answer("shop @ 10.0.0.6:5432", busy), None, (alert,), now),
        _member("spare", Answer("medianest @ 10.0.0.7:5432", standby), None, None, now),
        _member("away", Answer("media @ 10.9.0.7:5432", None, "No answer within 5 s."), None, None,
                now),
    )  # fmt: skip
    return (replace(made[0], findings=()), *made[1:])


@pytest.mark.parametrize("size", SIZES)
def test_the_fleet(
    snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """One down first in the headline, the cursor on shop, its reasons with what to do below."""

    async def load(_tab: OverviewTab) -> object:
        return builders.sample()

    async def look(_watch: Watch) -> tuple[Member, ...]:
        return members()

    monkeypatch.setattr(OverviewTab, "load", load)
    monkeypatch.setattr(OverviewTab, "interval", None)
    monkeypatch.setattr(Watch, "look", look)
    app = ConsoleApp(
        Target("shop", {"host": "db", "dbname": "shop"}), fleet_of(shop="postgresql://db/shop")
    )
    app.session._server = builders.SERVER

    async def press(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        await until(pilot, lambda: bool(app.screen.query(FooterKey)))
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=size, run_before=press)
