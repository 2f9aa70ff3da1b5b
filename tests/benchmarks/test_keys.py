"""From a key to its picture, in the real program: at rest, and while backups run beside it.

Run with: pytest -m benchmark -s tests/benchmarks -k key
"""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import yaml
from conftest import Database, run_sql
from measuring import Sample, record
from processes import CONSOLE, opening
from psycopg.conninfo import make_conninfo
from terminal import Terminal
from test_screens_plan_tree import document
from wide import INDEXES

from console.demo import sample
from console.demo.migrations import apply_migrations
from console.local_server import LocalServer

pytestmark = pytest.mark.benchmark

PRESSES = 300
MOST_MS = 50

DOWN, UP, PAGE_DOWN, PAGE_UP = b"\x1b[B", b"\x1b[A", b"\x1b[6~", b"\x1b[5~"
WALK = (DOWN, DOWN, PAGE_DOWN, DOWN, UP, PAGE_DOWN, DOWN, PAGE_UP)
"""Each moves the cursor, and all together go on down."""

PLAN_NODES = 100_000


@pytest.fixture(scope="module")
def medium(wide_server: LocalServer) -> Iterator[Database]:
    """Something to back up: the demo's data at `--rows medium`, beside the many tables."""
    admin: Database = {**wide_server.conninfo("postgres")}
    run_sql(admin, "CREATE DATABASE keys_medium")
    database: Database = {**wide_server.conninfo("keys_medium")}
    with psycopg.connect(**database, autocommit=True) as connection:
        apply_migrations(connection)
        sample.fill(connection, "medium")
    yield database
    run_sql(admin, "DROP DATABASE keys_medium WITH (FORCE)")


@contextmanager
def backups(database: Database, directory: Path) -> Iterator[list[int]]:
    """One `backup create` after another in its own process; the list gets their exit codes."""
    settings = directory / "settings.yaml"
    document = {
        "targets": {"medium": {"url": make_conninfo(**database)}},
        "backups": {"directory": str(directory / "backups"), "keep_free_mb": 1},
    }
    settings.write_text(yaml.safe_dump(document))
    settings.chmod(0o600)
    command = [*CONSOLE, "--settings", str(settings), "--target", "medium", "backup", "create"]
    ended, codes = threading.Event(), list[int]()

    def work() -> None:
        while not ended.is_set():
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            codes.append(done.returncode)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield codes
    finally:
        ended.set()
        worker.join()


def _pressed(terminal: Terminal, where: str) -> bool:
    """Walk through the rows; whether nearly every picture came in time."""
    before = terminal.text
    keys = itertools.islice(itertools.cycle(WALK), PRESSES)
    took = Sample(tuple(terminal.answer_seconds(key) * 1000 for key in keys))
    assert terminal.text != before
    return record(
        "Keys", f"key to picture, {where}", took.percentile(0.99), MOST_MS, unit="ms",
        ours=f"99 of 100; median {took.median:.3g} ms, longest {max(took.values):.3g} ms",
    )  # fmt: skip


def _measured(terminal: Terminal, what: str, medium: Database, directory: Path) -> list[bool]:
    met = [_pressed(terminal, what)]
    with backups(medium, directory) as codes:
        met.append(_pressed(terminal, f"{what}, backups running"))
    assert codes
    assert not any(codes), codes
    return met


def test_a_key_in_the_list_of_thirty_thousand_indexes(
    wide_server: LocalServer, medium: Database, private_home: Path
) -> None:
    environment = opening(wide_server.conninfo("wide"), private_home)
    with Terminal(CONSOLE, 80, 24, environment) as terminal:
        terminal.wait("of 97", "cache hit", seconds=60)
        terminal.press("3")
        terminal.wait("table_0_pkey", seconds=60)
        met = _measured(terminal, f"{INDEXES:,} indexes", medium, private_home)
        terminal.press("q")
        assert terminal.exit_code(30) == 0
    assert all(met)


def test_a_key_in_a_plan_of_a_hundred_thousand_lines(
    wide_server: LocalServer, medium: Database, private_home: Path
) -> None:
    """The longest list that is drawn whole: every line of it is a key away."""
    plan = private_home / "plan.json"
    plan.write_text(document(PLAN_NODES // 3))
    environment = opening(medium, private_home)
    with Terminal(CONSOLE, 80, 24, environment) as terminal:
        terminal.wait("of 97", "cache hit", seconds=60)
        terminal.press("9")
        terminal.wait("statement", seconds=30)
        terminal.press("\x1b")
        terminal.read_for(0.5)
        terminal.press("f")
        terminal.read_for(1)
        terminal.press(f"{plan}\r")
        terminal.wait("Append", seconds=120)
        terminal.read_for(2)
        met = _measured(terminal, f"plan of {PLAN_NODES:,} lines", medium, private_home)
        terminal.press("q")
        assert terminal.exit_code(30) == 0
    assert all(met)
