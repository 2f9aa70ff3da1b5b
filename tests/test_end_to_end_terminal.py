"""The real program in a real pseudo-terminal, driven by keys, read from its screen."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from terminal import Terminal

PROGRAM = [sys.executable, "-m", "console"]


def environment(database: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"PG{key.upper()}": str(value) for key, value in database.items() if key != "dbname"
    } | {"PGDATABASE": str(database["dbname"])}


@pytest.fixture
def prisma_url(medianest_db: dict[str, Any]) -> str:
    host, port = quote(medianest_db["host"], safe=""), medianest_db["port"]
    return (
        f"postgresql://{medianest_db['user']}@/{medianest_db['dbname']}?host={host}&port={port}"
        f"&passfile={quote(medianest_db['passfile'], safe='')}&schema=public&connection_limit=20"
        "&pool_timeout=30"
    )


def test_every_tab_by_its_number_at_80_by_24(prisma_url: str) -> None:
    with Terminal(PROGRAM, environment={"DATABASE_URL": prisma_url}) as terminal:
        terminal.wait("1 Over", "connections", "of 97", "now")
        for key, words in (
            ("2", ("users", "media_requests")),
            ("3", ("accounts_pkey", "6 of 6 critical")),
            ("4", ("accounts_user_id_fkey",)),
            ("5", ("8/8",)),
        ):
            terminal.press(key)
            terminal.wait(*words)
        terminal.press("?")
        terminal.wait("Keys on Checks")
        terminal.press("\x1b")
        terminal.until(lambda text: "Keys on Checks" not in text, "the help closed")
        terminal.press("q")
        assert terminal.exit_code() == 0


def test_it_opens_during_an_outage_and_recovers_when_the_server_is_back(
    medianest_db: dict[str, Any],
) -> None:
    refused = environment(medianest_db) | {"PGDATABASE": "not_yet_there"}
    with Terminal(PROGRAM, environment=refused) as terminal:
        terminal.wait("NOT CONNECTED", "DATABASE MISSING")
        admin = {**medianest_db, "dbname": "postgres"}
        with psycopg.connect(**admin, autocommit=True) as connection:
            connection.execute("CREATE DATABASE not_yet_there")
        terminal.press("r")
        terminal.until(lambda text: "NOT CONNECTED" not in text and "of 97" in text, "recovery")
        terminal.press("q")
        assert terminal.exit_code() == 0
    with psycopg.connect(**admin, autocommit=True) as connection:
        connection.execute("DROP DATABASE not_yet_there WITH (FORCE)")


def test_a_resize_lays_it_out_again(medianest_db: dict[str, Any]) -> None:
    with Terminal(PROGRAM, environment=environment(medianest_db)) as terminal:
        terminal.wait("of 97")
        terminal.resize(50, 12)
        terminal.wait("needs 60 columns")
        terminal.resize(120, 40)
        terminal.wait("of 97")


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM"])
def test_a_signal_leaves_no_session_behind(medianest_db: dict[str, Any], name: str) -> None:
    with Terminal(PROGRAM, environment=environment(medianest_db)) as terminal:
        terminal.wait("of 97")
        os.kill(terminal.pid, getattr(signal, name))
        terminal.exit_code()
    with psycopg.connect(**medianest_db) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'medianest-console' AND datname = current_database()"
        ).fetchone()
    assert left == (0,)


@pytest.mark.slow
def test_the_demo_from_an_empty_directory_to_a_filled_screen(server_directory: Path) -> None:
    where = server_directory / "demo"
    with Terminal([*PROGRAM, "demo", "--directory", str(where)]) as terminal:
        terminal.wait("1 Over", "of 97", seconds=60)
        terminal.press("5")
        terminal.wait("11/11", seconds=30)
        terminal.press("q")
        assert terminal.exit_code(30) == 0
    running = [
        entry
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(where).encode() in command_line(entry)
    ]
    assert running == []


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
