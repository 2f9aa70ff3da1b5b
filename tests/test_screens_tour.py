"""The tour: once, closed by one key, and found again in the palette."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from terminal import Terminal

from console import tour
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.tabs import TABS
from screens.tour import TourDialog

PROGRAM = [sys.executable, "-m", "console"]


def nowhere() -> Target:
    return Target("films", {"host": "/nonexistent", "dbname": "films"})


@pytest.mark.parametrize("key", ["escape", "x", "enter", "question_mark"])
async def test_any_key_closes_it_and_it_is_not_due_again(private_home: Path, key: str) -> None:
    seen = next(private_home.rglob("tour-seen"))
    seen.unlink()
    assert tour.is_due()
    app = ConsoleApp(nowhere(), Settings(), with_tour=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, TourDialog)
        await pilot.press(key)
        await pilot.pause()
        assert len(app.screen_stack) == 1
        assert app.active_tab.IDENTITY == "overview"
        for _ in range(100):
            await pilot.pause(0.02)
            if not tour.is_due():
                break
    assert not tour.is_due()


async def test_a_tabs_key_goes_there_and_the_palette_brings_it_back(private_home: Path) -> None:
    app = ConsoleApp(nowhere(), Settings(), with_tour=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("2")
        await pilot.pause()
        assert app.active_tab.IDENTITY == "schema"
        commands = {c.title: c.callback for c in app.get_system_commands(app.screen)}
        commands["Tour"]()
        await pilot.pause()
        assert isinstance(app.screen, TourDialog)


def test_the_first_visit_shows_all_of_it_at_80_by_24_and_the_second_nothing(
    private_home: Path,
) -> None:
    next(private_home.rglob("tour-seen")).unlink()
    nowhere_at_all = [*PROGRAM, "--dsn", "host=/nonexistent dbname=films"]
    with Terminal(nowhere_at_all) as terminal:
        text = terminal.wait("a short tour", "any key closes this", "F9")
        assert all(entry.title in text for entry in TABS)
        terminal.press("x")
        terminal.until(lambda text: "a short tour" not in text, "the tour closed")
        terminal.press("q")
        assert terminal.exit_code() == 0
    with Terminal(nowhere_at_all) as terminal:
        assert "a short tour" not in terminal.wait("NOT CONNECTED")
