"""Looking never changes anything: every tab is walked through, and the server logs all of it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from conftest import run_sql
from psycopg import sql

from console.local_server import LocalServer
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.tabs import TABS

Database = dict[str, Any]

READS = re.compile(r"(SELECT|WITH|SHOW|TABLE|VALUES|EXPLAIN)\b", re.IGNORECASE)
WRITES = re.compile(r"\b(INSERT INTO|UPDATE \w|DELETE FROM|MERGE INTO|FOR UPDATE|FOR SHARE)\b")
LOGGED = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)", re.DOTALL)

LOOKING_KEYS = {
    "schema": ["down", "right", "down", "enter", "d", "escape", "escape"],
    "indexes": ["s", "S", "down", "enter", "escape"],
    "foreign_keys": ["down", "enter", "escape", "o"],
    "checks": ["down", "enter", "escape", "c"],
}


async def test_every_tab_only_reads(medianest_db: Database, server: LocalServer) -> None:
    name = sql.Identifier(medianest_db["dbname"])
    run_sql(
        medianest_db,
        sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(name),
        "SELECT pg_stat_reset()",
    )
    log = server.directory.log
    start = log.stat().st_size
    await walk(medianest_db)
    entries = re.split(r"\n(?=\d{4}-\d\d-\d\d )", log.read_text(encoding="utf-8")[start:])
    statements = [found[1] for entry in entries if (found := LOGGED.search(entry))]
    assert len(statements) > 30, "the walk asked hardly anything"
    for statement in statements:
        text = re.sub(r"--[^\n]*\n|'(?:[^']|'')*'", "", statement).strip()
        assert READS.match(text), text
        assert not WRITES.search(text), text
    assert written_rows(medianest_db) == 0


async def walk(database: Database) -> None:
    app = ConsoleApp(Target("test", database), Settings(refresh_seconds=0.5))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(1.2)
        for number, entry in enumerate(TABS, 1):
            await pilot.press(str(number))
            await pilot.pause(0.5)
            for key in LOOKING_KEYS.get(entry.identity, []):
                await pilot.press(key)
                await pilot.pause(0.1)
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
