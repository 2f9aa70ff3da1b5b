"""Guided trouble in the app: from the palette, over the evidence, to an action that is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sessions import Actor, stage
from test_screens_activity import settled
from textual.widgets import OptionList, Static

from console.diagnose import Remedy, playbooks
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.diagnose import DiagnoseDialog, tab_of
from screens.tabs import TABS

Database = dict[str, Any]


@pytest.fixture
def enter(empty_db: Database) -> Any:
    with stage(empty_db) as enter:
        yield enter


def console(database: Database) -> ConsoleApp:
    return ConsoleApp(Target("test", database), Settings())


async def begun(pilot: Any, trouble: str) -> DiagnoseDialog:
    """Open it and choose a trouble by its place in the list."""
    await pilot.press("f8")
    await settled(pilot, lambda: isinstance(pilot.app.screen, DiagnoseDialog))
    await pilot.press(*["down"] * list(playbooks()).index(trouble), "enter")
    dialog = pilot.app.screen
    assert isinstance(dialog, DiagnoseDialog)
    return dialog


def story(dialog: DiagnoseDialog) -> str:
    return str(dialog.query_one("#story", Static).visual)


async def test_who_is_stuck_is_found_and_the_action_leads_to_the_tab(
    empty_db: Database, enter: Callable[[str], Actor]
) -> None:
    enter("one").does("CREATE TABLE t (id int)", "BEGIN", "LOCK TABLE t")
    enter("two").starts("SELECT * FROM t")
    app = console(empty_db)
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await begun(pilot, "stuck")
        await settled(pilot, lambda: dialog.is_walked)
        assert "1 wait for" in story(dialog)
        assert "idle in its transaction" in story(dialog)
        first = dialog.query_one("#remedies", OptionList).get_option_at_index(0)
        assert "end session" in str(first.prompt)
        await pilot.press("enter")
        await settled(pilot, lambda: app.active_tab.IDENTITY == "activity")


async def test_without_a_server_the_walk_ends_and_escape_goes_back_step_by_step() -> None:
    app = console({"host": "/nonexistent", "dbname": "none"})
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await begun(pilot, "cannot-connect")
        await settled(pilot, lambda: dialog.is_walked)
        assert "?" in story(dialog) or "→" in story(dialog)
        await pilot.press("escape")
        assert dialog.query_one("#troubles").display
        await pilot.press("escape")
        await settled(pilot, lambda: app.screen is not dialog)
        assert app.active_tab._active


async def test_a_mistaken_playbook_is_said_and_the_app_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "own.yaml").write_text("title: [/x]\n")
    monkeypatch.setattr("screens.diagnose.config_directory", lambda: tmp_path)
    app = console({"host": "/nonexistent", "dbname": "none"})
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f8")
        await settled(pilot, lambda: isinstance(app.screen, DiagnoseDialog))
        dialog = app.screen
        assert isinstance(dialog, DiagnoseDialog)
        assert "own.yaml" in story(dialog)
        await pilot.press("escape")
        await settled(pilot, lambda: app.screen is not dialog)


async def test_the_palette_names_it() -> None:
    app = console({"host": "/nonexistent", "dbname": "none"})
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "What is wrong" in titles


def test_every_action_in_the_console_leads_to_a_tab() -> None:
    identities = {entry.identity for entry in TABS}
    for book in playbooks().values():
        for remedy in book.actions.values():
            if remedy.how.startswith("In the console: "):
                assert tab_of(remedy) in identities, remedy.how
    assert tab_of(Remedy("x", "VACUUM;")) is None
