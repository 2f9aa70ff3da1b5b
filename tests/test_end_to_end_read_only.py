"""Looking never changes anything: every tab is walked through, and the server logs all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from conftest import run_sql
from psycopg import sql

from console.demo.migrations import MIGRATIONS_DIRECTORY
from console.local_server import LocalServer
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.keys import EVERYWHERE
from screens.keys import TABS as KEYS_OF_TABS
from screens.tabs import TABS

Database = dict[str, Any]

READS = re.compile(
    r"(SELECT|WITH|SHOW|TABLE|VALUES|EXPLAIN|BEGIN READ ONLY|SET LOCAL|ROLLBACK|COMMIT)\b",
    re.IGNORECASE,
)
PLANS = re.compile(
    r"PREPARE medianest_plan\b|EXPLAIN \((?![^)]*ANALYZE[^)]*\))|EXECUTE\b|DEALLOCATE\b"
)
"""Of a statement that is planned and never run, whatever it would do."""
WRITES = re.compile(r"\b(INSERT INTO|UPDATE \w|DELETE FROM|MERGE INTO|FOR UPDATE|FOR SHARE)\b")
LOGGED = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)", re.DOTALL)

MOVES = ("down", "right", "down")


def looks(tab: str) -> list[str]:
    """Every key of a tab, and everywhere, that does not act; but none that leaves."""
    every = (*KEYS_OF_TABS[tab], *EVERYWHERE)
    return [key.key for key in every if not key.acts and key.key not in ("q", "escape")]


@pytest.mark.parametrize("keys", [MOVES, pytest.param(None, marks=pytest.mark.slow)])
async def test_every_tab_only_reads(
    keys: Sequence[str] | None, medianest_db: Database, server: LocalServer
) -> None:
    name = sql.Identifier(medianest_db["dbname"])
    run_sql(
        medianest_db,
        sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(name),
        "SELECT pg_stat_reset()",
    )
    log = server.directory.log
    start = log.stat().st_size
    await walk(medianest_db, keys)
    entries = re.split(r"\n(?=\d{4}-\d\d-\d\d )", log.read_text(encoding="utf-8")[start:])
    statements = [found[1] for entry in entries if (found := LOGGED.search(entry))]
    assert len(statements) > 30, "the walk asked hardly anything"
    for statement in statements:
        text = re.sub(r"--[^\n]*\n|'(?:[^']|'')*'", "", statement).strip()
        if PLANS.match(text):
            continue
        assert READS.match(text), text
        assert not WRITES.search(text), text
    assert written_rows(medianest_db) == 0


async def walk(database: Database, keys: Sequence[str] | None) -> None:
    """Press `keys`, or every key that looks, on every tab, as superuser, who could write."""
    target = Target("test", database, profile="medianest", migrations=MIGRATIONS_DIRECTORY)
    app = ConsoleApp(target, Settings(refresh_seconds=0.5))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(1.2)
        for entry in TABS:
            await pilot.press(entry.key)
            await pilot.pause(0.5)
            for key in keys or (*MOVES, *looks(entry.identity)):
                await pilot.press(key)
                await pilot.pause(0.1)
                while len(app.screen_stack) > 1:
                    await pilot.press("escape")
                    await pilot.pause(0.05)
                await pilot.press("escape")
            await pilot.press("r")
            await pilot.pause(0.3)


def written_rows(database: Database) -> int:
    with psycopg.connect(**database) as connection:
        row = connection.execute(
            "SELECT COALESCE(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::int"
            " FROM pg_stat_all_tables"
            " WHERE schemaname NOT LIKE 'pg_toast%' AND relname NOT LIKE 'pg_%'"
        ).fetchone()
    assert row is not None
    return int(row[0])
