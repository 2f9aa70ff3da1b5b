"""What the real program costs while nothing happens: bytes to its terminal, and processor time.

Run with: pytest -m benchmark -s tests/benchmarks -k quiet
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from measuring import Sample, record
from processes import CONSOLE, cpu_seconds, opening
from sessions import stage
from terminal import Terminal

from console.target import Target
from screens.tabs import TABS

pytestmark = pytest.mark.benchmark

SECONDS = 30
"""Of watching each tab, after it has settled."""

SETTLING_SECONDS = 4
IDLE_SESSIONS = 10


@dataclass(frozen=True)
class Quiet:
    """A tab with nothing happening on it."""

    identity: str
    words: str
    """They are on it once it is filled."""
    interval: int
    """Seconds from one question to the next."""
    keys: str = ""
    """Pressed there first."""
    remark: str = "nothing happening"


QUIET = (
    Quiet("overview", "cache hit", 1),
    Quiet("activity", "idle", 1, "i", f"{IDLE_SESSIONS} idle sessions shown"),
    Quiet("timings", "statements", 2),
)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60)])
def test_a_quiet_refresh_sends_and_costs_little(
    medianest18: Target, private_home: Path, columns: int, lines: int
) -> None:
    """MediaNest's database with a pool of idle sessions, at the refresh that is set unless told."""
    environment = opening(medianest18.parameters, private_home)
    met = []
    with (
        stage(medianest18.parameters) as enter,
        Terminal(CONSOLE, columns, lines, environment) as terminal,
    ):
        for number in range(IDLE_SESSIONS):
            enter(f"pool-{number}").does("SELECT 1")
        terminal.wait("of 97", "cache hit", seconds=60)
        for quiet in QUIET:
            met += _measured(terminal, quiet, f"{columns}x{lines}")
        terminal.press("q")
        assert terminal.exit_code(30) == 0
    assert all(met)


def _measured(terminal: Terminal, quiet: Quiet, size: str) -> list[bool]:
    """Whether the bytes and the processor time of the tab are within their targets."""
    entry = next(entry for entry in TABS if entry.identity == quiet.identity)
    terminal.press(entry.key)
    terminal.wait(quiet.words, seconds=30)
    terminal.press(quiet.keys)
    terminal.read_for(SETTLING_SECONDS)
    began = cpu_seconds(terminal.pid)
    refreshes = range(SECONDS // quiet.interval)
    sent = Sample(tuple(terminal.read_for(quiet.interval) for _ in refreshes))
    core = (cpu_seconds(terminal.pid) - began) / SECONDS
    where = f"{entry.title} at {size}, {quiet.remark}"
    return [
        record(
            "At rest", f"bytes a refresh, {where}", sent.mean, 4096, unit="B",
            ours=f"at most {max(sent.values):,.0f} B",
        ),
        record("At rest", f"processor, {where}", core * 100, 3, unit="% of a core"),
    ]  # fmt: skip
