"""Pictures of every tab at the smallest and at a usual size; looked at before they are accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import builders
import pytest
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets._footer import FooterKey

from console.errors import ConnectionFailed
from console.foreign_keys import read_foreign_keys
from console.index_health import critical_of, read_indexes
from console.profile import bundled
from console.schema import read_inventory
from console.session import Session
from console.settings import Settings
from console.target import Target
from queries.catalog import RelationSize
from queries.overview import DatabaseSize
from screens.app import ConsoleApp
from screens.checks import ChecksTab
from screens.foreign_keys import ForeignKeysTab
from screens.indexes import IndexesTab
from screens.overview import OverviewTab
from screens.schema import Reading, SchemaTab
from screens.tabs import TABS

SIZES = [(80, 24), (140, 40)]
Compare = Callable[..., bool]


def console(monkeypatch: pytest.MonkeyPatch, kind: type[Any], value: Any) -> ConsoleApp:
    """The app whose tab of this kind has answered `value` and asks no more."""

    async def load(_tab: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(kind, "load", load)
    monkeypatch.setattr(kind, "interval", None)
    app = ConsoleApp(
        Target("medianest", {"host": "db", "port": "5432", "dbname": "medianest"}), Settings()
    )
    app.session._server = builders.SERVER
    return app


def on_tab(identity: str, *keys: str) -> Callable[[Pilot[Any]], Any]:
    key = next(entry.key for entry in TABS if entry.identity == identity)

    async def press(pilot: Pilot[Any]) -> None:
        await pilot.press(key)
        await settled(pilot)
        await pilot.press(*keys)
        await settled(pilot)

    return press


async def settled(pilot: Pilot[Any]) -> None:
    """The tab has answered, and the footer, which is made anew with the focus, is there."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    while app.active_tab.loaded_at is None and app.active_tab._last_failure is None:
        await pilot.pause(0.05)
    await pilot.pause(0.1)
    while not app.screen.query(FooterKey) and not isinstance(app.screen, ModalScreen):
        await pilot.pause(0.05)


@pytest.fixture
def overview(monkeypatch: pytest.MonkeyPatch) -> ConsoleApp:
    """An Overview with four minutes behind it."""
    taken = builders.samples()
    app = console(monkeypatch, OverviewTab, taken[-1])
    built = OverviewTab.__init__

    def with_history(tab: OverviewTab) -> None:
        built(tab)
        for sample in taken[:-1]:
            tab.history.add(sample)
        tab.history.add_size(DatabaseSize(builders.NOW, 120_000_000))
        tab.history.add_size(DatabaseSize(builders.NOW + timedelta(minutes=4), 120_500_000))

    monkeypatch.setattr(OverviewTab, "__init__", with_history)
    return app


@pytest.mark.parametrize("size", SIZES)
def test_the_overview_of_a_healthy_database(
    snap_compare: Compare, overview: ConsoleApp, size: tuple[int, int]
) -> None:
    """An OK verdict, eight figures in two columns, two charts that are not empty."""
    assert snap_compare(overview, terminal_size=size, run_before=settled)


@pytest.mark.parametrize("size", SIZES)
def test_the_overview_of_a_troubled_database(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """A FAIL verdict with each reason and what to do, worst first."""
    troubled = builders.sample(
        connections=97,
        waiting_for_lock=3,
        longest_seconds=4000.0,
        idle_in_transaction=1,
        inactive_slots=1,
        slot_bytes_retained=5 << 30,
    )
    app = console(monkeypatch, OverviewTab, troubled)
    assert snap_compare(app, terminal_size=size, run_before=settled)


@pytest.mark.parametrize("size", SIZES)
def test_the_overview_without_a_server(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """NOT CONNECTED on top, why, and what to do."""
    error = ConnectionFailed("No connection to db:5432: [/refused].", "Check that it runs.")
    app = console(monkeypatch, OverviewTab, error)
    assert snap_compare(app, terminal_size=size, run_before=settled)


@pytest.mark.parametrize("size", SIZES)
def test_the_checks_with_a_failure(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """NOT READY, the failed check first with its finding under it; markup shown as it is."""
    console(monkeypatch, OverviewTab, builders.sample())
    app = console(monkeypatch, ChecksTab, builders.report())
    assert snap_compare(app, terminal_size=size, run_before=on_tab("checks", "down", "down"))


@pytest.mark.parametrize("size", SIZES)
def test_the_help_of_the_overview(
    snap_compare: Compare, overview: ConsoleApp, size: tuple[int, int]
) -> None:
    """What the figures mean and every key, in a dialog that scrolls."""
    assert snap_compare(overview, terminal_size=size, press=["question_mark"])


@pytest.mark.parametrize("size", SIZES)
def test_the_indexes_of_medianest(
    snap_compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
    medianest18: Target,
    size: tuple[int, int],
) -> None:
    """34 indexes, the critical ones starred, two keys without an index."""
    critical = critical_of(bundled("medianest"))
    value = answered(medianest18, lambda session: read_indexes(session, critical))
    console(monkeypatch, OverviewTab, builders.sample())
    app = console(monkeypatch, IndexesTab, value)
    assert snap_compare(app, terminal_size=size, run_before=on_tab("indexes", "down"))


@pytest.mark.parametrize("size", SIZES)
def test_the_foreign_keys_of_medianest(
    snap_compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
    medianest18: Target,
    size: tuple[int, int],
) -> None:
    """Eight foreign keys with their rules, the two without a supporting index first."""
    value = answered(medianest18, read_foreign_keys)
    console(monkeypatch, OverviewTab, builders.sample())
    app = console(monkeypatch, ForeignKeysTab, value)
    assert snap_compare(app, terminal_size=size, run_before=on_tab("foreign_keys"))


@pytest.mark.parametrize("size", SIZES)
def test_the_schema_of_medianest(
    snap_compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
    medianest18: Target,
    size: tuple[int, int],
) -> None:
    """The tree with tables, sizes and rows; beside it, where there is room, what is selected."""
    inventory = answered(medianest18, read_inventory)
    sizes = {r.oid: RelationSize(r.oid, 81_920, 16_384) for r in inventory.relations}
    console(monkeypatch, OverviewTab, builders.sample())
    app = console(monkeypatch, SchemaTab, Reading(inventory, sizes, {}))
    assert snap_compare(
        app, terminal_size=size, run_before=on_tab("schema", "right", "down", "right")
    )


def answered(target: Target, question: Callable[[Session], Awaitable[Any]]) -> Any:
    """What the server says, with its figures and times fixed."""

    async def ask() -> Any:
        session = Session(target)
        try:
            return await question(session)
        finally:
            await session.close()

    return builders.steady(asyncio.run(ask()))
