"""How long from a command to a screen full of figures, beside what Python alone needs for it.

pytest -m benchmark -s tests/benchmarks/test_start.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import Terminal

ROUNDS = 7


def seconds(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


@pytest.mark.benchmark
def test_from_the_demo_command_to_a_filled_overview(server_directory: Path) -> None:
    command = [sys.executable, "-m", "console", "demo", "--directory", str(server_directory / "d")]
    imports = [sys.executable, "-c", "import textual.app, textual.widgets, psycopg, yaml"]
    filled: list[float] = []

    def start() -> None:
        with Terminal(command) as terminal:
            begun = time.monotonic()
            terminal.wait("Nothing is wrong", "of 97", seconds=60)
            filled.append(time.monotonic() - begun)
            terminal.press("q")
            terminal.exit_code(30)

    def import_only() -> None:
        subprocess.run(imports, check=True)

    start()
    cold = filled.pop()
    bare = []
    for _round in range(ROUNDS):
        bare.append(seconds(import_only))
        start()
    warm, floor = statistics.median(filled), statistics.median(bare)
    print(
        f"\ncold {cold:.2f} s; warm {warm:.2f} s (of {ROUNDS}: {min(filled):.2f} to"
        f" {max(filled):.2f}); importing the libraries alone {floor:.2f} s;"
        f" ratio {warm / floor:.2f}"
    )
    assert warm / floor < 6
