"""The Overview shows what the agent wrote down, and whether one runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import Database

from console.agent.history import AgentHistory, history_path
from console.agent.presence import Presence, alone, write_presence
from console.settings import Settings, state_directory
from console.target import Target
from screens.app import ConsoleApp
from screens.overview import OverviewTab


def written(target: str) -> Presence:
    """A week of an agent, which looked just now."""
    now = datetime.now(UTC)
    history = AgentHistory(history_path())
    for hours in range(24 * 7, -1, -2):
        at = now - timedelta(hours=hours)
        history.add(target, at, {"connections": 7, "transactions_per_second": 70.0})
        history.tidy(at, 200)
    history.close()
    return Presence(1, "1", now - timedelta(days=7), now, 15)


async def wait(pilot: Any, holds: Callable[[], bool]) -> None:
    for _attempt in range(200):
        if holds():
            return
        await pilot.pause(0.05)
    pytest.fail("it never came to hold")


def drawn(tab: OverviewTab, selector: str) -> str:
    widget = tab.query_one(selector)
    return "\n".join(
        "".join(s.text for s in widget.render_line(y)) for y in range(widget.size.height)
    )


async def test_one_key_goes_from_minutes_to_hours_days_and_weeks(medianest18: Target) -> None:
    presence = written(medianest18.name)
    app = ConsoleApp(medianest18, Settings())
    with alone(state_directory()):
        write_presence(state_directory(), presence)
        async with app.run_test(size=(80, 24)) as pilot:
            tab = app.query_one(OverviewTab)

            await wait(pilot, lambda: "runs, looked" in drawn(tab, "#figures"))
            for words in ("6 hours ago", "7 days ago", "84 days ago", "5 min ago"):
                await pilot.press("h")
                await wait(pilot, lambda w=words: w in drawn(tab, "#chart-connections"))  # type: ignore[misc]


async def test_without_an_agent_the_key_says_so(medianest_db: Database) -> None:
    app = ConsoleApp(Target("home", medianest_db), Settings())
    async with app.run_test(size=(80, 24)) as pilot:
        tab = app.query_one(OverviewTab)
        await wait(pilot, lambda: "connections" in drawn(tab, "#figures"))
        assert "agent" not in drawn(tab, "#figures")
        await pilot.press("h")
        await wait(pilot, lambda: any("never run" in n.message for n in app._notifications))
