"""Memory of the real program while it goes through all its tabs; MEASURE_MINUTES says how long.

Run with: MEASURE_MINUTES=60 pytest -m benchmark -s tests/benchmarks -k memory
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from measuring import Sample, record
from processes import CONSOLE, opening, resident_bytes
from sessions import stage
from terminal import Terminal

from console.target import Target
from screens.tabs import TABS

pytestmark = pytest.mark.benchmark

MINUTES = float(os.environ.get("MEASURE_MINUTES", "5"))
"""Of going through the tabs, after every one was seen."""

STAY_SECONDS = 6.0
"""On one tab, whose figures are asked every second where they are live."""

IDLE_SESSIONS = 10

FLAT = 1.1
"""The most that the last fifth of the time may take of what the first took."""


def test_memory_is_flat_while_all_tabs_are_seen_in_turn(
    medianest18: Target, private_home: Path
) -> None:
    environment = opening(medianest18.parameters, private_home)
    with (
        stage(medianest18.parameters) as enter,
        Terminal(CONSOLE, 120, 40, environment) as terminal,
    ):
        for number in range(IDLE_SESSIONS):
            enter(f"pool-{number}").does("SELECT 1")
        terminal.wait("of 97", "cache hit", seconds=60)
        after_start = resident_bytes(terminal.pid)
        _once_through(terminal)
        seen: list[float] = []
        until = time.monotonic() + 60 * MINUTES
        while time.monotonic() < until or len(seen) < 3 * len(TABS):
            seen += _once_through(terminal)
            print(f"\n{Sample(tuple(seen[-len(TABS) :])).words('MiB')}", end="")
        terminal.press("q")
        assert terminal.exit_code(30) == 0
    fifth = max(len(TABS), len(seen) // 5)
    first, last = Sample(tuple(seen[:fifth])), Sample(tuple(seen[-fifth:]))
    assert record(
        "At rest", f"memory, {MINUTES:g} minutes in all tabs, last fifth against first",
        last.median / first.median, FLAT,
        ours=f"{last.words('MiB')}; after the start {after_start / 2**20:.0f} MiB",
        beside=f"first fifth {first.words('MiB')}",
    )  # fmt: skip


def _once_through(terminal: Terminal) -> list[float]:
    """Each tab in front for a while, read again by the key; MiB after each."""
    found = []
    for entry in TABS:
        terminal.press(entry.key)
        terminal.read_for(STAY_SECONDS / 2)
        # In the editor of Plans keys are text until it is left.
        terminal.press("\x1b")
        terminal.read_for(0.3)
        terminal.press("r")
        terminal.read_for(STAY_SECONDS / 2)
        found.append(resident_bytes(terminal.pid) / 2**20)
    return found
