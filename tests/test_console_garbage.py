"""What only holds itself is let go in a process that stays, soon enough to keep memory flat."""

from __future__ import annotations

import subprocess
import sys

MOST = 350_000

LIFE = """
import gc
from collections import deque
from console import garbage

garbage.{how}()
first, most = len(gc.get_objects()), 0
shown = deque(maxlen=60_000)
for number in range(1_200_000):
    row = []
    row.append(row)
    shown.append(row)
    if number % 20_000 == 0:
        most = max(most, len(gc.get_objects()) - first)
print(most)
"""
"""Rows that hold themselves, of which each outlives 60,000 later ones: the most at a time."""


def most_objects(how: str) -> int:
    told = subprocess.check_output([sys.executable, "-c", LIFE.format(how=how)], text=True)
    return int(told)


def test_a_process_that_stays_lets_go() -> None:
    assert most_objects("for_a_long_run") < MOST


def test_one_command_rather_keeps_than_looks() -> None:
    """Shows that the other test can fail."""
    assert most_objects("for_one_command") > MOST
