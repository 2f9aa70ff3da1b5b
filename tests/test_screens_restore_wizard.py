"""The guided emergency restore: a database emptied by mistake comes back by keys alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from conftest import Database, run_sql
from restores import Restoring, die_at, ended
from terminal import Terminal
from textual.widgets import Input, Static

from console.restore.status import Phase, all_status
from console.settings import TargetSettings
from console.target import Target
from screens.app import ConsoleApp
from screens.keys import WIZARD, WIZARD_EVERYWHERE
from screens.restore_choose import ChoosePage
from screens.restore_page import Page, StageStrip
from screens.restore_preflight import PlanPage, PreflightPage
from screens.restore_status import StatusPage
from screens.restore_wizard import RestoreWizard
from screens.widgets.banner import Banner
from screens.widgets.dialogs import ChoiceDialog, ConfirmDialog, DetailDialog

USERS = "SELECT count(*) FROM public.users"
NOWHERE = {"host": "127.0.0.1", "port": "1", "dbname": "media"}
PROGRAM = [sys.executable, "-m", "console"]
SIZE = (80, 24)

AnyPage = TypeVar("AnyPage", bound=Page)


@pytest.fixture
async def media(medianest_db: Database, tmp_path: Path) -> Restoring:
    """Backed up, and then emptied of users."""
    media = Restoring(medianest_db, tmp_path / "backups")
    await media.backup()
    run_sql(medianest_db, "TRUNCATE public.users CASCADE")
    return media


@pytest.fixture
async def media18(medianest18: Target, tmp_path: Path) -> Restoring:
    media = Restoring(dict(medianest18.parameters), tmp_path / "backups")
    await media.backup()
    run_sql(media.database, "TRUNCATE public.users CASCADE")
    return media


def console(media: Restoring, *, rescue: bool = True, **changes: Any) -> ConsoleApp:
    return ConsoleApp(media.target, replace(media.settings, **changes), rescue=rescue)


def wizard_of(app: ConsoleApp) -> RestoreWizard:
    return next(screen for screen in app.screen_stack if isinstance(screen, RestoreWizard))


def text_of(app: ConsoleApp) -> str:
    """What the page in front says."""
    page = wizard_of(app).front
    return "\n".join(
        "".join(segment.text for segment in widget.render_line(line))
        for widget in page.query(Static)
        if widget.display
        for line in range(widget.size.height)
    )


async def until(pilot: Any, holds: Callable[[], bool], wanted: str = "") -> None:
    for _attempt in range(600):
        if holds():
            return
        await pilot.pause(0.1)
    pytest.fail(f"never came to hold {wanted}; the page says\n{text_of(pilot.app)}")


async def on(pilot: Any, kind: type[AnyPage], *words: str) -> AnyPage:
    """The page in front once it is of this kind and says these words."""
    app = pilot.app

    def holds() -> bool:
        front = wizard_of(app)._front
        return isinstance(front, kind) and all(word in text_of(app) for word in words)

    await until(pilot, holds, f"{kind.__name__} {words}")
    return wizard_of(app).query_one(kind)


async def to_the_plan(pilot: Any) -> None:
    choose = await on(pilot, ChoosePage, "Recommended", "answers")
    assert choose.table.selected is not None
    await pilot.press("enter")
    page = await on(pilot, PreflightPage)
    await until(pilot, lambda: page.table.row_count > 0)
    await pilot.press("enter")
    await on(pilot, PlanPage, "Ready to begin", "Options (o)")


async def type_into_the_dialog(pilot: Any, words: str) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
    field = pilot.app.screen.query_one(Input)
    field.value = words
    await pilot.press("enter")


@pytest.mark.slow
async def test_by_keys_to_a_restored_database_then_back_and_finished(media: Restoring) -> None:
    app = console(media, rescue=False)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("f9")
        await to_the_plan(pilot)
        await pilot.press("B")
        await on(pilot, StatusPage, "ready for the cut-over")
        assert media.ask(USERS) == 0
        assert app.screen.query_one(StageStrip).stage == 7
        await pilot.press("C")
        await type_into_the_dialog(pilot, "another")
        await pilot.pause(0.3)
        assert isinstance(app.screen, ConfirmDialog)
        assert media.ask(USERS) == 0, "the wrong name was refused"
        await type_into_the_dialog(pilot, media.name)
        await on(pilot, StatusPage, "is restored", "downtime", "of it at work")
        assert media.ask(USERS) > 0
        await pilot.press("U")
        await type_into_the_dialog(pilot, media.name)
        await on(pilot, StatusPage, "from before the restore again")
        assert media.ask(USERS) == 0
        kept = all_status()[0].kept
        await pilot.press("F")
        await type_into_the_dialog(pilot, kept)
        await on(pilot, StatusPage, "Finished")
        assert media.databases() == {media.name}


@pytest.mark.slow
async def test_a_second_console_attaches_and_takes_it_back(media18: Restoring) -> None:
    first = console(media18)
    async with first.run_test(size=SIZE) as pilot:
        await to_the_plan(pilot)
        await pilot.press("B")
        await on(pilot, StatusPage)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(first.screen, RestoreWizard))
    second = console(media18, rescue=False)
    async with second.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "F9: restore of" in str(second.query_one(Banner).visual))
        await pilot.press("f9")
        await on(pilot, StatusPage, "ready for the cut-over")
        await pilot.press("A")
        await until(pilot, lambda: isinstance(second.screen, ConfirmDialog))
        await pilot.press("y")
        await on(pilot, StatusPage, "Aborted")
    assert media18.databases() == {media18.name}
    assert media18.ask(USERS) == 0


@pytest.mark.slow
async def test_a_killed_restore_is_shown_first_and_resumed(
    media18: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_again = die_at(monkeypatch, 8)
    killed = await media18.restore(confirmed=False)
    live_again()
    assert killed.phase is Phase.PREPARING
    app = console(media18)
    async with app.run_test(size=SIZE) as pilot:
        await on(pilot, StatusPage, "its process is gone", "interrupted", "resume", "abort")
        await pilot.press("R")
        await on(pilot, StatusPage, "ready for the cut-over")
        await pilot.press("C")
        await type_into_the_dialog(pilot, media18.name)
        await on(pilot, StatusPage, "is restored")
    assert media18.ask(USERS) > 0


@pytest.mark.slow
async def test_closing_the_console_or_killing_it_leaves_the_restore_at_work(
    media18: Restoring,
) -> None:
    settings = settings_file(media18)
    environment = {"PGPASSFILE": str(media18.database["passfile"])}
    with Terminal([*PROGRAM, "rescue", "--settings", settings], environment=environment) as seen:
        seen.wait("EMERGENCY RESTORE", "Recommended", "answers", seconds=60)
        seen.press("\r")
        seen.wait("full read of the archive", "go on", seconds=60)
        seen.press("\r")
        seen.wait("Ready to begin", seconds=60)
        seen.press("B")
        seen.wait("back up the live database", seconds=60)
        os.kill(seen.pid, signal.SIGKILL)
        assert seen.exit_code() == -signal.SIGKILL
    ready = await ended(all_status()[0].directory)
    assert ready.phase is Phase.READY
    assert media18.ask(USERS) == 0


def settings_file(media: Restoring) -> str:
    given, path = media.database, media.root / "settings.yaml"
    path.write_text(
        "target: home\n"
        "targets:\n  home:\n"
        f"    url: postgresql://{given['user']}@/{given['dbname']}"
        f"?host={given['host']}&port={given['port']}\n"
        f"backups:\n  directory: {media.root}\n  keep_free_mb: 0\n"
    )
    return str(path)


@pytest.mark.slow
async def test_without_a_server_backups_are_offered_and_nothing_can_begin(
    media18: Restoring,
) -> None:
    lost = Target("home", NOWHERE)
    app = ConsoleApp(lost, media18.settings, rescue=True)
    async with app.run_test(size=SIZE) as pilot:
        await on(pilot, ChoosePage, "Recommended", "refused", "everything after needs the server")
        await pilot.press("enter")
        page = await on(pilot, PreflightPage, "must be mended")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.press("escape", "escape")
        await on(pilot, ChoosePage)
        assert page.table.row_count > 1, "the archive was read all the same"


@pytest.mark.slow
async def test_without_any_backup_a_dump_file_is_taken_into_a_new_name(
    media18: Restoring, tmp_path: Path
) -> None:
    backup = next((media18.root / "home").glob("2*"))
    dump = tmp_path / "found.dump"
    shutil.move(backup / "archive.dump", dump)
    shutil.rmtree(backup)
    app = console(media18)
    async with app.run_test(size=(100, 30)) as pilot:
        await on(pilot, ChoosePage, "There is no backup of 'home'", "answers")
        await pilot.press("p")
        await until(pilot, lambda: bool(app.screen.query(Input)))
        app.screen.query_one(Input).value = str(dump)
        await pilot.press("enter")
        page = await on(pilot, PreflightPage)
        await until(pilot, lambda: page.table.row_count > 0)
        wizard = wizard_of(app)
        wizard._wish(replace(wizard.request, into=f"{media18.name}_copy"))
        await until(pilot, lambda: wizard.plan is not None)
        await pilot.press("enter")
        await on(pilot, PlanPage, "a new database", "runs to its end")
        await pilot.press("B")
        await on(pilot, StatusPage, "is restored")
    assert media18.ask(USERS, f"{media18.name}_copy") > 0
    assert media18.ask(USERS) == 0
    run_sql({**media18.database, "dbname": "postgres"}, f"DROP DATABASE {media18.name}_copy")


@pytest.mark.slow
async def test_another_target_of_the_settings_gets_it_where_no_such_database_is(
    media18: Restoring,
) -> None:
    given, other = media18.database, f"{media18.name}_rescued"
    address = f"host={given['host']} port={given['port']} user={given['user']}"
    entry = TargetSettings(f"{address} passfile={given['passfile']} dbname={other}")
    app = console(media18, targets={"other": entry, "third": entry})
    async with app.run_test(size=SIZE) as pilot:
        await on(pilot, ChoosePage, "Recommended", "answers")
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("enter")
        await on(pilot, ChoosePage, "Recommended", "made anew")
        await pilot.press("enter")
        page = await on(pilot, PreflightPage)
        await until(pilot, lambda: page.table.row_count > 0)
        await pilot.press("enter")
        await on(pilot, PlanPage, "runs to its end")
        await pilot.press("B")
        await on(pilot, StatusPage, "is restored")
    assert media18.ask(USERS, other) > 0
    run_sql({**given, "dbname": "postgres"}, f"DROP DATABASE {other}")


@pytest.mark.slow
async def test_rows_and_steps_answer_to_the_mouse(media18: Restoring) -> None:
    app = console(media18)
    async with app.run_test(size=SIZE) as pilot:
        await on(pilot, ChoosePage, "Recommended", "answers")
        await pilot.click("#choices", offset=(10, 1), times=2)
        page = await on(pilot, PreflightPage)
        await until(pilot, lambda: page.table.row_count > 0)
        await pilot.click("#stage-strip", offset=(3, 0))
        await on(pilot, ChoosePage, "Recommended")


@pytest.mark.slow
async def test_the_safety_backup_is_skipped_only_by_saying_so(media18: Restoring) -> None:
    app = console(media18)
    async with app.run_test(size=SIZE) as pilot:
        await to_the_plan(pilot)
        await pilot.press("o")
        await pilot.press(*["down"] * 5, "enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("n")
        assert wizard_of(app).request.safety
        await pilot.press("o")
        await pilot.press(*["down"] * 5, "enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        page = await on(pilot, PreflightPage)
        await until(pilot, lambda: page.table.row_count > 0)
        await pilot.press("enter")
        await on(pilot, PlanPage, "No safety backup", "SKIPPED")


@pytest.mark.slow
async def test_a_safety_backup_is_never_what_is_recommended(media18: Restoring) -> None:
    first = await media18.plan()
    done = await media18.restore(safety=True)
    assert done.phase is Phase.DONE
    again = await media18.plan()
    assert again.source.name == first.source.name
    app = console(media18)
    async with app.run_test(size=SIZE) as pilot:
        page = await on(pilot, ChoosePage, "Recommended", "The last restore")
        assert page.table.row_count == 2
        chosen = page.table.selected
        assert chosen is not None
        assert chosen.recommended
        assert chosen.backup.id == first.source.name
        await pilot.press("v")
        await on(pilot, StatusPage, "is restored", "undo", "finish")


async def test_read_only_refuses_with_a_sentence(media18: Restoring) -> None:
    app = console(media18, rescue=False, read_only=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("f9")
        await pilot.pause(0.2)
        assert not isinstance(app.screen, RestoreWizard)
        assert "--read-only" in next(iter(app._notifications)).message
        assert "f9" not in {
            binding.binding.key
            for binding in app.screen.active_bindings.values()
            if binding.binding.show
        }


@pytest.mark.slow
async def test_it_opens_over_a_dialog_and_only_once(media18: Restoring) -> None:
    app = console(media18, rescue=False)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.press("f9", "f9")
        await on(pilot, ChoosePage, "Recommended")
        assert sum(isinstance(screen, RestoreWizard) for screen in app.screen_stack) == 1
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.press("escape", "escape")
        assert not any(isinstance(screen, RestoreWizard) for screen in app.screen_stack)


def test_rescue_opens_without_a_server_with_broken_settings_and_a_bare_directory(
    media18: Restoring, tmp_path: Path
) -> None:
    broken = tmp_path / "settings.yaml"
    broken.write_text("tragets: {}\n")
    words = ["--settings", str(broken), "--backups", str(media18.root / "home")]
    with Terminal(
        [*PROGRAM, "rescue", *words],
        environment={"PGHOST": "127.0.0.1", "PGPORT": "1", "PGDATABASE": "home"},
    ) as seen:
        seen.wait("EMERGENCY RESTORE", "Recommended", "tragets", "refused", seconds=60)
        seen.press("\x1b")
        seen.wait("NOT CONNECTED", "1 Over")
        seen.press("q")
        assert seen.exit_code() == 0


def test_rescue_refuses_read_only_and_no_terminal() -> None:
    for words in (["--read-only"], []):
        done = subprocess.run(
            [*PROGRAM, "rescue", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 3
        assert ("--read-only" in done.stderr) == bool(words)
        assert "Traceback" not in done.stderr


def test_no_key_of_the_wizard_means_two_things_and_what_acts_is_upper_case() -> None:
    for page, page_keys in WIZARD.items():
        names = [key.key for key in (*page_keys, *WIZARD_EVERYWHERE)]
        assert len(names) == len(set(names)), page
        for key in page_keys:
            assert key.acts == key.key.isupper(), key
