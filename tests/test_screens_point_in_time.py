"""The moments over the Backups tab: the line, the list, and going back with two keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from recovery import Recovery, opened, receiving, recovery_server, wait_until
from textual.widgets import Static

from console.pitr.base import make_base, verify_base
from console.pitr.moments import moments
from console.pitr.setup import set_up
from console.pitr.side import sides
from console.pitr.status import read_status
from console.pitr.timeline import Cell, RowKind, line, rows
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.keys import POINT_IN_TIME
from screens.point_in_time import PointInTimeScreen
from screens.tabs import TABS
from screens.widgets.dialogs import ConfirmDialog, DetailDialog

NUMBER = str(1 + [entry.identity for entry in TABS].index("backups"))


@pytest.fixture(scope="module")
def kept() -> Iterator[Recovery]:
    """An archive in which a table was emptied of most rows, and then dropped."""
    with recovery_server(15) as recovery:
        asyncio.run(_fill(recovery))
        yield recovery


async def _fill(recovery: Recovery) -> None:
    await set_up(recovery.target, recovery.settings)
    recovery.sql("CREATE TABLE notes AS SELECT g AS id FROM generate_series(1, 500) g")
    with receiving(recovery):
        base = await make_base(recovery.target, recovery.settings, recovery.archive)
        await verify_base(recovery.archive, base, recovery.settings)
        recovery.sql("DELETE FROM notes WHERE id > 100", "DROP TABLE notes")
        recovery.switch()
        wait_until(lambda: _has_drop(recovery), 30, "the drop is found")


def _has_drop(recovery: Recovery) -> bool:
    return any(event.kind == "drop" for event in moments(recovery.archive))


async def until(pilot: Any, holds: Callable[[], bool]) -> None:
    for _attempt in range(300):
        if holds():
            return
        await pilot.pause(0.1)
    text = pilot.app.screen.query(Static).first().visual
    pytest.fail(f"never came to hold; the screen says {str(text)!r}")


def screen_of(app: ConsoleApp) -> PointInTimeScreen:
    found = next(s for s in reversed(app.screen_stack) if isinstance(s, PointInTimeScreen))
    assert isinstance(found, PointInTimeScreen)
    return found


@pytest.mark.slow
async def test_a_dropped_table_is_gone_back_before_with_two_keys(kept: Recovery) -> None:
    app = ConsoleApp(kept.target, kept.settings)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(NUMBER)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, PointInTimeScreen))
        screen = screen_of(app)
        await until(pilot, lambda: screen.shown is not None and bool(screen.table.row_count))
        drawn = str(screen.query_one("#pitr-line", Static).visual)
        assert "━" in drawn
        assert "▲" in drawn
        assert "◆" in drawn
        for _ in range(10):
            row = screen.table.selected
            if row is not None and "dropped: public.notes" in row.words:
                break
            await pilot.press("down")
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, DetailDialog))
        (side,) = sides(kept.archive, kept.settings)
        with opened(side.target()) as connection:
            assert connection.execute("SELECT count(*) FROM notes").fetchone() == (100,)
        await pilot.press("escape")
        await until(pilot, lambda: RowKind.SIDE in _kinds(screen))
        while (row := screen.table.selected) is not None and row.side is None:
            await pilot.press("up")
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, lambda: not sides(kept.archive, kept.settings))


def _kinds(screen: PointInTimeScreen) -> set[RowKind]:
    return {row.kind for row in screen.table._records}


@pytest.mark.slow
async def test_read_only_looks_and_recovers_nothing(kept: Recovery) -> None:
    app = ConsoleApp(kept.target, kept.settings, read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(NUMBER)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, PointInTimeScreen))
        screen = screen_of(app)
        await until(pilot, lambda: screen.shown is not None)
        for key in (key for key in POINT_IN_TIME if key.acts):
            await pilot.press(key.key)
            await pilot.pause(0.1)
            assert app.screen is screen, key.key
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, DetailDialog))


@pytest.mark.slow
def test_the_line_is_solid_where_every_moment_can_be_gone_to(kept: Recovery) -> None:
    status = read_status(kept.archive, kept.settings)
    made = line(status, 60)
    assert made is not None
    assert made.cells[0] is Cell.RECOVERABLE
    assert made.cells[-1] is Cell.NOT, "nothing receives any more"
    assert made.bases == (0,)
    assert made.moments
    listed = rows(status, ())
    assert listed[0].kind is RowKind.LATEST
    assert {row.kind for row in listed} == {RowKind.LATEST, RowKind.MOMENT, RowKind.BASE}


async def test_without_an_archive_the_way_to_one_is_told(medianest18: Target) -> None:
    app = ConsoleApp(medianest18, Settings())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(NUMBER)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, PointInTimeScreen))
        words = app.screen.query_one("#pitr-headline", Static)
        await until(pilot, lambda: "pitr setup" in str(words.visual))


def test_no_key_of_the_screen_means_two_things() -> None:
    names = [key.key for key in POINT_IN_TIME]
    assert len(names) == len(set(names))
