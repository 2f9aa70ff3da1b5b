"""The index lab's dialogs and its result, at 80 columns and with real keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import NOW
from test_console_lab import FASTER, a_result
from textual.widgets import OptionList, Static

from console.backup.policy import BackupSettings
from console.lab.result import keep, kept, path_of
from console.lab.spread import Change
from console.lab.writes import WriteCost
from console.settings import Settings, state_directory
from console.target import Target
from screens.app import ConsoleApp
from screens.index_lab_result import LabScreen
from screens.widgets.dialogs import ChoiceDialog, ConfirmDialog, DetailDialog

NOWHERE = Target("test", {"host": "/nonexistent", "dbname": "none"}, profile="medianest")


def console(target: Target, directory: Path, **settings: Any) -> ConsoleApp:
    backups = BackupSettings(directory=directory / "backups", keep_free_mb=0)
    return ConsoleApp(target, Settings(backups=backups, **settings))


async def until(pilot: Any, holds: Callable[[], bool], seconds: float = 20.0) -> None:
    for _attempt in range(int(seconds / 0.1)):
        if holds():
            return
        await pilot.pause(0.1)
    pytest.fail(f"never came to hold on {pilot.app.screen}")


def choices(app: ConsoleApp) -> list[str]:
    assert isinstance(app.screen, ChoiceDialog)
    return [str(option.id) for option in app.screen.query_one(OptionList).options]


async def asked(app: ConsoleApp, pilot: Any, tab: str) -> list[str]:
    """Press the key on a tab; what can be tried."""
    await pilot.press(tab)
    await pilot.pause(0.3)
    await pilot.press("l")
    await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
    return choices(app)


async def test_what_can_be_tried_is_asked_even_without_the_server(tmp_path: Path) -> None:
    app = console(NOWHERE, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        assert await asked(app, pilot, "3") == ["profile", "critical", "candidates", "write"]
        await pilot.press("enter")
        await until(pilot, lambda: "backup" in choices(app))
        assert choices(app) == ["backup", "dump", "small", "medium", "beside"]


async def test_read_only_leaves_out_the_live_server(tmp_path: Path) -> None:
    app = console(NOWHERE, tmp_path, read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(app, pilot, "3")
        await pilot.press("enter")
        await until(pilot, lambda: "backup" in choices(app))
        assert "beside" not in choices(app)


async def test_the_live_server_takes_part_only_with_consent(tmp_path: Path) -> None:
    app = console(NOWHERE, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(app, pilot, "3")
        await pilot.press("enter")
        await until(pilot, lambda: "beside" in choices(app))
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("n")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_a_statement_brings_its_own_candidates(tmp_path: Path) -> None:
    app = console(NOWHERE, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("9")
        await pilot.pause(0.3)
        await pilot.press(*"select 1", "escape", "l")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        assert choices(app) == ["candidates", "write"]


WRITE = WriteCost("users", 500, 10.0, 15.0, Change(-0.5, -0.6, -0.4), 2, 3)


async def test_the_last_result_is_shown_with_its_statements_indexes_and_conditions(
    tmp_path: Path,
) -> None:
    result = a_result()
    index = dataclasses.replace(result.indexes[0], write=WRITE)
    keep(dataclasses.replace(result, indexes=(index,), writes=(WRITE,)), path_of(NOWHERE.label))
    app = console(NOWHERE, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        assert (await asked(app, pilot, "3"))[0] == "last"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LabScreen))
        await pilot.pause(0.2)
        headline = str(app.screen.query_one("#lab-headline", Static).visual)
        assert "FASTER" in headline
        assert "90.0% less time with 1 index (-95 to -85%)" in headline
        await pilot.press("enter")
        assert "Seq Scan on users" in await read(app, pilot)
        await pilot.press("v", "enter")
        told = await read(app, pilot)
        assert "a write takes 10.0 µs to 15.0 µs a row" in told
        assert "CREATE INDEX i ON users (email);" in told
        await pilot.press("w")
        told = await read(app, pilot)
        for part in ("1000 rows", "It is slow.", "work_mem 4 MB", "9 rounds"):
            assert part in told
        await pilot.press("question_mark")
        assert await read(app, pilot)
        await pilot.press("x")
        (written,) = (state_directory() / "reports").iterdir()
        assert written.read_text().startswith("# 90.0% less time")
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def read(app: ConsoleApp, pilot: Any) -> str:
    """What the dialog in front says; it is closed again."""
    await until(pilot, lambda: isinstance(app.screen, DetailDialog))
    await pilot.pause(0.1)
    text = str(app.screen.query_one("VerticalScroll Static", Static).visual)
    await pilot.press("escape")
    await until(pilot, lambda: not isinstance(app.screen, DetailDialog))
    return " ".join(text.split())


def shown(**changes: Any) -> LabScreen:
    """A result with every kind of line in it."""
    first = a_result().queries[0]
    names = ("look up a session", "a user's requests of a status, the newest first", "[/bold] x")
    changed = (FASTER, Change(0.01, -0.2, 0.1), Change(-0.4, -0.6, -0.2))
    queries = tuple(
        dataclasses.replace(first, name=name, change=change, used=("i",) * (change is FASTER))
        for name, change in zip(names, changed, strict=True)
    )
    index = a_result().indexes[0]
    indexes = (
        dataclasses.replace(index, name="media_requests_user_id_status_idx", write=WRITE),
        dataclasses.replace(index, statement="b", name="sessions_expires_idx", faster=()),
        dataclasses.replace(index, statement="c", name="users_[/x]_idx", faster=(), used_by=()),
    )
    return LabScreen(a_result(at=NOW, queries=queries, indexes=indexes, **changes))


@pytest.mark.parametrize("keys", [(), ("v",)], ids=["statements", "indexes"])
def test_the_result_at_80_columns(
    keys: tuple[str, ...], tmp_path: Path, snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("console.units.age", lambda _since, _now: "3 days ago")

    async def before(pilot: Any) -> None:
        await pilot.app.push_screen(shown())
        await pilot.pause(0.3)
        await pilot.press(*keys)
        await pilot.pause(0.2)

    app = console(NOWHERE, tmp_path)
    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


@pytest.mark.slow
async def test_with_keys_alone_a_dump_is_measured_and_the_result_kept(
    medianest18: Target, tmp_path: Path
) -> None:
    app = console(medianest18, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(app, pilot, "3")
        await pilot.press("end", "enter")
        await pilot.pause(0.3)
        await pilot.press(*"CREATE INDEX ON media_requests (overseerr_id)", "enter")
        await until(pilot, lambda: "dump" in choices(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, LabScreen), seconds=180)
        assert isinstance(app.screen, LabScreen)
        result = app.screen.result
        assert result.source == "a dump made for it"
        assert [index.verdict for index in result.indexes] == ["not used"]
        assert len(result.queries) == 20
    assert kept(path_of(medianest18.label)) == result
