"""The Migrations tab: the history, drift, the way back, and what is said where one is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import builders
import psycopg
import pytest
from conftest import run_sql
from textual.widgets import Input, OptionList, Static
from textual.widgets._footer import FooterKey

from console.backup.policy import BackupSettings
from console.demo.migrations import MIGRATIONS_DIRECTORY
from console.identifiers import TableName
from console.migrations.folder import Folder, Migration
from console.migrations.history import Entry, History, State
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.migrations import MigrationsTab, Reading
from screens.overview import OverviewTab
from screens.widgets.dialogs import ConfirmDialog, DetailDialog
from screens.widgets.running import WaitingDialog

INIT = "20250704075237_init"


def console(target: Target, directory: Path, **settings: Any) -> ConsoleApp:
    backups = BackupSettings(directory=directory / "backups", keep_free_mb=0)
    return ConsoleApp(target, Settings(backups=backups, **settings))


@pytest.fixture
def project(medianest18: Target, tmp_path: Path) -> Target:
    """MediaNest with the folder its migrations came from."""
    folder = tmp_path / "prisma" / "migrations"
    shutil.copytree(MIGRATIONS_DIRECTORY, folder)
    return replace(medianest18, migrations=folder)


async def until(pilot: Any, holds: Callable[[], bool]) -> None:
    for _attempt in range(600):
        if holds():
            return
        await pilot.pause(0.1)
    pytest.fail(f"never came to hold on {pilot.app.screen}; {headline(pilot.app)!r}")


def headline(app: ConsoleApp) -> str:
    return str(app.active_tab.query_one(".headline", Static).visual)


def read(app: ConsoleApp) -> str:
    """What the dialog in front says; nothing where there is none."""
    if not isinstance(app.screen, DetailDialog) or not app.screen.query("VerticalScroll Static"):
        return ""
    return str(app.screen.query_one("VerticalScroll Static", Static).visual)


async def opened(app: ConsoleApp, pilot: Any) -> MigrationsTab:
    await pilot.press("0")
    tab = app.active_tab
    assert isinstance(tab, MigrationsTab)
    await until(pilot, lambda: tab.loaded_at is not None)
    return tab


async def test_drift_is_looked_for_beside_the_live_database_only_when_chosen(
    project: Target, tmp_path: Path
) -> None:
    run_sql(dict(project.parameters), "ALTER TABLE users ADD COLUMN nickname text")
    app = console(project, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert "3 applied" in headline(app)
        assert "not looked for yet" in headline(app)
        await pilot.press("d")
        await until(pilot, lambda: bool(app.screen.query(OptionList)))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "nickname" in read(app))
        assert "ALTER TABLE public.users DROP COLUMN nickname;" in read(app)
        assert "ALTER TABLE public.users ADD COLUMN nickname text;" in read(app)
        await pilot.press("escape")
        assert "1 difference" in headline(app)


@pytest.mark.slow
async def test_what_was_planned_is_run_after_the_name_was_typed(
    project: Target, tmp_path: Path
) -> None:
    app = console(project, tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        tab = await opened(app, pilot)
        tab.table.move_cursor(row=2)
        await pilot.press("R")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmDialog)
        await pilot.press("p")
        await until(pilot, lambda: bool(app.screen.query(OptionList)))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Every row of public.error_logs" in read(app))
        await pilot.press("escape", "R")
        await until(pilot, lambda: bool(app.screen.query(Input)) and app.focused is not None)
        await pilot.press("y", "enter")
        assert isinstance(app.screen, ConfirmDialog)
        app.screen.query_one(Input).value = project.dbname
        await pilot.press("enter")
        await until(pilot, lambda: "1 applied, 2 rolled back" in headline(app))
    parameters: dict[str, Any] = dict(project.parameters)
    with psycopg.connect(**parameters) as connection:
        assert connection.execute("SELECT to_regclass('error_logs')").fetchone() == (None,)


@pytest.mark.slow
async def test_a_search_for_drift_can_be_given_up(project: Target, tmp_path: Path) -> None:
    app = console(project, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("d")
        await until(pilot, lambda: bool(app.screen.query(OptionList)))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WaitingDialog))
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert "not looked for yet" in headline(app)


async def test_without_a_folder_there_is_the_history_and_a_way_to_name_one(
    medianest18: Target, project: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "home")
    app = console(medianest18, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        assert tab.table.row_count == 3
        assert "Press f to name it" in headline(app)
        await pilot.press("d")
        await pilot.pause()
        assert len(app.screen_stack) == 1
        await pilot.press("f")
        await until(pilot, lambda: bool(app.screen.query(Input)))
        app.screen.query_one(Input).value = str(project.migrations)
        await pilot.press("enter")
        await until(pilot, lambda: "folder: " + str(project.migrations)[:20] in headline(app))


async def test_a_database_without_a_history_gets_one_sentence(
    project: Target, tmp_path: Path
) -> None:
    run_sql(dict(project.parameters), "DROP TABLE _prisma_migrations")
    app = console(project, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert "has no _prisma_migrations: Prisma never migrated it." in headline(app)


@pytest.mark.slow
async def test_read_only_neither_rolls_back_nor_writes_to_the_server(
    project: Target, tmp_path: Path
) -> None:
    app = console(project, tmp_path, read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        tab = await opened(app, pilot)
        assert tab.check_action("roll_back", ()) is False
        await pilot.press("d")
        await until(pilot, lambda: bool(app.screen.query(OptionList)))
        assert app.screen.query_one(OptionList).option_count == 1


def of_every_state() -> Reading:
    entries = []
    for number, state in enumerate(State):
        at = builders.NOW - timedelta(days=9 - number)
        is_there = state in (State.APPLIED, State.EDITED, State.UNKNOWN)
        entry = Entry(
            f"2025070407523{number}_{'init' if not number else f'step_{number}'}",
            state,
            started_at=at if state is not State.PENDING else None,
            applied_at=at + timedelta(seconds=0.25 * (number + 1)) if is_there else None,
            attempts=0 if state is State.PENDING else 1,
            checksum_agrees={State.APPLIED: True, State.FAILED: True, State.EDITED: False}.get(
                state
            ),
            remark="its file is not the one that was applied" if state is State.EDITED else "",
            logs='ERROR: type "mood" does not exist' if state is State.FAILED else None,
        )
        entries.append(entry)
    scripts = [Migration(one.name, b"-- AlterTable\nALTER TABLE a ADD b int;\n") for one in entries]
    folder = Folder(Path("prisma/migrations"), tuple(scripts[:-1]))
    table = TableName("public", "_prisma_migrations")
    return Reading(builders.NOW, History(table, tuple(entries), lock_holder=4711), folder)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
@pytest.mark.parametrize("keys", [(), ("down", "down", "down", "down", "enter")])
def test_a_migration_of_every_state(
    snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    keys: tuple[str, ...],
    size: tuple[int, int],
) -> None:
    """Seven migrations, newest first, each state with its mark; then one that failed, in full."""
    for kind, value in ((OverviewTab, builders.sample()), (MigrationsTab, of_every_state())):

        async def load(_tab: Any, value: Any = value) -> Any:
            return value

        monkeypatch.setattr(kind, "load", load)
        monkeypatch.setattr(kind, "interval", None)
    address = {"host": "db", "port": "5432", "dbname": "medianest"}
    app = ConsoleApp(Target("medianest", address), Settings())
    app.session._server = builders.SERVER

    async def before(pilot: Any) -> None:
        await opened(app, pilot)
        await pilot.press(*keys)
        await pilot.pause(0.1)
        await until(pilot, lambda: bool(keys) or bool(app.screen.query(FooterKey)))

    assert snap_compare(app, terminal_size=size, run_before=before)
