"""What only holds itself is let go in a process that stays, soon enough to keep memory flat."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator

import pytest

from console import garbage

MOST = 350_000


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    usual = gc.get_threshold()
    yield
    gc.set_threshold(*usual)
    gc.unfreeze()


def most_objects_at_a_time() -> int:
    """Beside those at first, while 600,000 rows that hold themselves each outlive 60,000 later."""
    first = len(gc.get_objects())
    shown: deque[list[object]] = deque(maxlen=60_000)
    most = 0
    for number in range(600_000):
        row: list[object] = []
        row.append(row)
        shown.append(row)
        if number % 20_000 == 0:
            most = max(most, len(gc.get_objects()) - first)
    return most


def test_a_process_that_stays_lets_go() -> None:
    garbage.for_a_long_run()
    assert most_objects_at_a_time() < MOST


def test_one_command_rather_keeps_than_looks() -> None:
    """Shows that the other test can fail."""
    gc.freeze()
    garbage.for_one_command()
    assert most_objects_at_a_time() > MOST
