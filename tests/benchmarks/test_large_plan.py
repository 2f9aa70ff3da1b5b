"""How long a plan of 5,000 nodes takes from its text to the picture in the Plans tab.

Run with: pytest -m benchmark -s tests/benchmarks -k large_plan
"""

from __future__ import annotations

import time

import pytest
from test_screens_plan_tree import NOWHERE, document
from test_screens_plans import console, opened, screen

pytestmark = pytest.mark.benchmark

NODES = 5_000
MOST_SECONDS = 0.3
ROUNDS = 5


async def test_a_plan_of_five_thousand_nodes_is_read_and_drawn_in_time() -> None:
    """Read, judged by every advice, and drawn; then a key moves the cursor."""
    text = document(NODES // 3 + 1)
    took, moved = [], []
    async with console(NOWHERE).run_test(size=(140, 40)) as pilot:
        tab = await opened(pilot)
        for _ in range(ROUNDS):
            tab.editor.load_text(text)
            started = time.perf_counter()
            tab.action_run()
            assert "Append" in screen(pilot.app)
            took.append(time.perf_counter() - started)
            started = time.perf_counter()
            tab.table.action_last()
            assert "Index Scan" in screen(pilot.app)
            moved.append(time.perf_counter() - started)
        assert tab.shown is not None
        assert len(tab.shown.nodes) >= NODES
    print(f"\nread and drawn in {min(took):.3f} s, at most {max(took):.3f} s;"
          f" to its last line in {min(moved):.3f} s")  # fmt: skip
    assert min(took) < MOST_SECONDS
    assert min(moved) < 0.1
