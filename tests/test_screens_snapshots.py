"""Pictures of every tab at the smallest and at a usual size; looked at before they are accepted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import builders
import pytest
from textual.pilot import Pilot

from console.errors import ConnectionFailed
from console.settings import Settings
from console.target import Target
from queries.overview import DatabaseSize
from screens.app import TABS, ConsoleApp
from screens.checks import ChecksTab
from screens.overview import OverviewTab

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
    number = next(n for n, entry in enumerate(TABS, 1) if entry.identity == identity)

    async def press(pilot: Pilot[Any]) -> None:
        await pilot.press(str(number), *keys)
        await pilot.pause(0.1)

    return press


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
    assert snap_compare(overview, terminal_size=size)


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
    assert snap_compare(console(monkeypatch, OverviewTab, troubled), terminal_size=size)


@pytest.mark.parametrize("size", SIZES)
def test_the_overview_without_a_server(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """NOT CONNECTED on top, why, and what to do."""
    error = ConnectionFailed("No connection to db:5432: [/refused].", "Check that it runs.")
    assert snap_compare(console(monkeypatch, OverviewTab, error), terminal_size=size)


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
