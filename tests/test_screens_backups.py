"""The Backups tab: making one, proving it, and seeing it from a second console."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import OptionList, Static

from console.backup.policy import BackupSettings
from console.pgbackrest.policy import PgbackrestSettings
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.backups import BackupsTab
from screens.tabs import TABS
from screens.widgets.dialogs import DetailDialog

NUMBER = str(1 + [entry.identity for entry in TABS].index("backups"))


def console(target: Target, directory: Path, **settings: Any) -> ConsoleApp:
    return ConsoleApp(target, Settings(backups=BackupSettings(directory=directory), **settings))


async def until(pilot: Any, holds: Callable[[], bool]) -> None:
    for _attempt in range(300):
        if holds():
            return
        await pilot.pause(0.1)
    pytest.fail(f"never came to hold; the headline is {headline(pilot.app)!r}")


def headline(app: ConsoleApp) -> str:
    return str(app.active_tab.query_one(".headline", Static).visual)


async def test_an_empty_history_is_a_failure_with_its_remedy(
    medianest18: Target, tmp_path: Path
) -> None:
    app = console(medianest18, tmp_path / "backups")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(NUMBER)
        await until(pilot, lambda: "no backup at all" in headline(app))
        assert "FAIL" in headline(app)


async def test_a_backup_made_with_two_keys_is_verified_and_seen_by_all(
    medianest18: Target, tmp_path: Path
) -> None:
    app = console(medianest18, tmp_path / "backups")
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(NUMBER)
        tab = app.active_tab
        assert isinstance(tab, BackupsTab)
        await until(pilot, lambda: tab.shown is not None)
        await pilot.press("B")
        await until(pilot, lambda: bool(app.screen.query(OptionList)))
        await pilot.press("enter")
        await until(pilot, lambda: tab.table.row_count == 1)
        await until(pilot, lambda: "No backup was ever restored" in headline(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.press("escape")
        await pilot.press("H")
        await until(pilot, lambda: bool(tab.table.selected and held(tab)))
    second = console(medianest18, tmp_path / "backups")
    async with second.run_test(size=(100, 30)) as pilot:
        await pilot.press(NUMBER)
        other = second.active_tab
        assert isinstance(other, BackupsTab)
        await until(pilot, lambda: other.table.row_count == 1)
        assert held(other)


def held(tab: BackupsTab) -> bool:
    line = tab.table.selected
    return line is not None and line.backup is not None and line.backup.record.held


async def test_a_pgbackrest_that_hangs_holds_up_nothing_and_ends_when_the_tab_is_left(
    medianest18: Target, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    command = ("sh", "-c", f"echo $$ > {begun}.new; mv {begun}.new {begun}; exec sleep 600")
    stanza = {"medianest": PgbackrestSettings("main", command=command)}
    app = console(medianest18, tmp_path / "backups", pgbackrest=stanza)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(NUMBER)
        await until(pilot, lambda: "pgBackRest: reading" in headline(app) and begun.exists())
        assert "UNKNOWN" in headline(app)
        await pilot.press("1")
        running = Path(f"/proc/{int(begun.read_text())}")
        await until(pilot, lambda: not running.exists())


async def test_a_pgbackrest_that_is_missing_is_told_in_the_headline(
    medianest18: Target, tmp_path: Path
) -> None:
    missing = PgbackrestSettings("main", command=(str(tmp_path / "none"),), user="root")
    app = console(medianest18, tmp_path / "backups", pgbackrest={"medianest": missing})
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(NUMBER)
        await until(pilot, lambda: "cannot be run: No such file" in headline(app))
        assert "UNKNOWN" in headline(app)


async def test_read_only_leaves_out_what_acts(medianest18: Target, tmp_path: Path) -> None:
    app = console(medianest18, tmp_path / "backups", read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(NUMBER)
        await until(pilot, lambda: app.active_tab.loaded_at is not None)
        await pilot.press("B")
        await pilot.pause(0.3)
        assert not app.screen.query(OptionList)
