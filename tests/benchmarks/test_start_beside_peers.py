"""From the command to the first filled screen, beside other terminal programs; and --version."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from measuring import by_turns, record, seconds
from peers import peer
from processes import CONSOLE, address, opening
from terminal import Terminal

from console.process import Command, run
from console.target import Target

pytestmark = pytest.mark.benchmark

ROUNDS = 4


def _filled(
    command: Sequence[str], holds: Callable[[str], bool], environment: Mapping[str, str]
) -> float:
    """Seconds from the command to a screen of 120x40 that holds what was asked for."""
    began = time.perf_counter()
    with Terminal(command, 120, 40, environment) as terminal:
        terminal.until(holds, "a filled screen", 60)
        return time.perf_counter() - began


def _peer_command(name: str, database: Mapping[str, Any]) -> list[str]:
    if name == "harlequin":
        return [peer(name), "--adapter", "postgres", "--theme", "textual-dark", address(database)]
    if name == "pg_activity":
        place = ("-h", database["host"], "-p", str(database["port"]), "-U", database["user"])
        return [peer(name), *place, "-d", database["dbname"]]
    return [peer(name), address(database)]


_SHOWS: dict[str, Callable[[str], bool]] = {
    # The name in the tree, below the title of the catalog.
    "harlequin": lambda text: re.search(r"test_\d+ db", text) is not None,
    "pgcli": lambda text: re.search(r"test_\d+>", text) is not None,
    "pg_activity": lambda text: "cache hit ratio" in text and "RUNNING QUERIES" in text,
}


@pytest.mark.parametrize("name", ["harlequin", "pgcli", "pg_activity"])
async def test_first_filled_screen(name: str, medianest18: Target, private_home: Path) -> None:
    database = dict(medianest18.parameters)
    environment = opening(database, private_home)
    command = _peer_command(name, database)

    async def ours() -> float:
        return _filled(CONSOLE, lambda text: "of 97" in text and "cache hit" in text, environment)

    async def theirs() -> float:
        return _filled(command, _SHOWS[name], environment)

    pairs = await by_turns(ROUNDS, ours, theirs)
    # A prompt is no application, nor one list: only harlequin's is a like for like.
    assert record(
        "Start", f"first filled screen against {name}'s", pairs.ratio.median,
        1.0 if name == "harlequin" else None,
        ours=pairs.ours.words("s"), beside=pairs.theirs.words("s"),
    )  # fmt: skip


async def test_version_is_told_at_once() -> None:
    async def ours() -> float:
        return await seconds(run(Command((*CONSOLE, "--version"))))

    async def theirs() -> float:
        return await seconds(run(Command((sys.executable, "-c", "pass"))))

    pairs = await by_turns(15, ours, theirs)
    assert record(
        "Start", "--version, beside python -c pass", pairs.ours.median, 0.15, unit="s",
        ours=pairs.ours.words("s"), beside=pairs.theirs.words("s"),
    )  # fmt: skip


async def test_a_containers_healthcheck_is_answered_soon(medianest18: Target) -> None:
    """Beside psycopg alone, which asks the same of the same server."""
    url = address(medianest18.parameters)
    asking = "import psycopg, sys; psycopg.connect(sys.argv[1]).execute('SELECT')"

    async def ours() -> float:
        return await seconds(run(Command((*CONSOLE, "health", "--quick", "--dsn", url))))

    async def theirs() -> float:
        return await seconds(run(Command((sys.executable, "-c", asking, url))))

    pairs = await by_turns(15, ours, theirs)
    assert record(
        "Start", "health --quick, beside psycopg alone", pairs.ours.median, 0.3, unit="s",
        ours=pairs.ours.words("s"), beside=pairs.theirs.words("s"),
    )  # fmt: skip
