"""The Overview and Timings show what the agent wrote down, and whether one runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import Database, run_sql
from textual.widget import Widget

from console.agent.history import AgentHistory, history_path
from console.agent.presence import Presence, alone, write_presence
from console.settings import Settings, state_directory
from console.target import Target
from screens.app import ConsoleApp
from screens.overview import OverviewTab
from screens.timings import TimingsTab


def written(target: str) -> Presence:
    """A week of an agent, which looked just now."""
    now = datetime.now(UTC)
    history = AgentHistory(history_path())
    for hours in range(24 * 7, -1, -2):
        at = now - timedelta(hours=hours)
        history.add(
            target,
            at,
            {
                "connections": 7,
                "transactions_per_second": 70.0,
                "statements_per_second": 900.0,
                "statement_mean_ms": 3.5,
            },
        )
        history.tidy(at, 200)
    history.close()
    return Presence(1, "1", now - timedelta(days=7), now, 15)


async def wait(pilot: Any, holds: Callable[[], bool]) -> None:
    for _attempt in range(200):
        if holds():
            return
        await pilot.pause(0.05)
    pytest.fail("it never came to hold")


def drawn(tab: Widget, selector: str) -> str:
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


async def test_timings_show_all_statements_over_days(medianest18: Target) -> None:
    """Of the selected statement only the last minutes are known, which the last press is."""
    presence = written(medianest18.name)
    run_sql(medianest18.parameters, "SELECT count(*) FROM users")
    app = ConsoleApp(medianest18, Settings())
    with alone(state_directory()):
        write_presence(state_directory(), presence)
        async with app.run_test(size=(80, 40)) as pilot:
            await pilot.press("6")
            await wait(pilot, lambda: isinstance(app.active_tab, TimingsTab))
            tab = app.query_one(TimingsTab)
            await wait(pilot, lambda: tab.loaded_at is not None)
            for words in ("6 hours ago", "7 days ago", "84 days ago"):
                await pilot.press("h")
                await wait(pilot, lambda w=words: w in drawn(tab, "#chart-calls"))  # type: ignore[misc]
                assert "calls/s, all statements" in drawn(tab, "#chart-calls")
                assert "mean ms, all statements" in drawn(tab, "#chart-mean")
            await pilot.press("h")
            await wait(pilot, lambda: "5 min ago" in drawn(tab, "#chart-calls"))
            assert "all statements" not in drawn(tab, "#chart-calls")


async def test_without_an_agent_the_key_says_so(medianest_db: Database) -> None:
    app = ConsoleApp(Target("home", medianest_db), Settings())
    async with app.run_test(size=(80, 24)) as pilot:
        tab = app.query_one(OverviewTab)
        await wait(pilot, lambda: "connections" in drawn(tab, "#figures"))
        assert "agent" not in drawn(tab, "#figures")
        await pilot.press("h")
        await wait(pilot, lambda: any("never run" in n.message for n in app._notifications))
