"""Reading the structure of 10,000 tables, beside the same questions asked bare, and harlequin.

Run with: pytest -m benchmark -s tests/benchmarks -k catalog
"""

from __future__ import annotations

import gc
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from measuring import Pairs, Sample, by_turns, record, seconds
from peers import peer
from processes import address
from wide import INDEXES, TABLES

from console.garbage import LONG_RUN
from console.local_server import LocalServer
from console.schema import read_inventory
from console.session import Session
from console.target import Target
from queries import text
from queries.catalog import read_catalog

pytestmark = pytest.mark.benchmark

SECTION = "Ten thousand tables"
ROUNDS = 7
TREE_ROUNDS = 3
EVERYTHING = {"schemas": None, "relation": None}

STRUCTURE = ("relations", "columns", "indexes", "constraints")
"""What the Indexes and Foreign keys tabs, and the checks, read whole."""

INVENTORY = (
    "namespaces", "relations", "routines", "types", "extensions", "table_activity", "vacuum_due",
    "schema_totals",
)  # fmt: skip
"""What the Schema tab reads; columns and indexes of a table come when it is opened."""

HARLEQUIN = """
import sys, time
from harlequin_postgres import HarlequinPostgresAdapter
connection = HarlequinPostgresAdapter(conn_str=(sys.argv[1],)).connect()
began = time.perf_counter()
[database] = [item for item in connection.get_catalog().items if item.label == "wide"]
[schema] = [item for item in database.fetch_children() if item.label == "wide"]
tables = schema.fetch_children()
named = time.perf_counter() - began
columns = [column for table in tables for column in table.fetch_children()]
print(len(tables), len(columns), named, time.perf_counter() - began)
"""
"""Its tree to the names of the tables, then with each table opened, in an open connection."""


@pytest.fixture(autouse=True)
def collected_as_in_the_program() -> Iterator[None]:
    """How often Python looks for unreachable objects is the program's choice, for both sides."""
    usual = gc.get_threshold()
    gc.set_threshold(*LONG_RUN)
    yield
    gc.set_threshold(*usual)


def bare(database: Mapping[str, Any], questions: Sequence[str]) -> float:
    """Seconds that plain psycopg takes for the same SQL, until all rows are tuples."""
    with psycopg.connect(**database, autocommit=True) as connection:
        connection.execute("SET search_path TO pg_catalog")
        connection.execute("SET jit TO off")
        began = time.perf_counter()
        rows = 0
        for question in questions:
            statement = text(question, connection.info.server_version)
            rows += len(connection.execute(statement, EVERYTHING).fetchall())
        assert rows > TABLES
        return time.perf_counter() - began


async def test_the_catalog_against_the_bare_queries(wide_server: LocalServer) -> None:
    database = wide_server.conninfo("wide")
    session = Session(Target("wide", database))

    async def whole() -> float:
        connection = await session.connection()
        began = time.perf_counter()
        catalog = await read_catalog(connection)
        took = time.perf_counter() - began
        assert (len(catalog.relations), len(catalog.indexes)) == (TABLES, INDEXES)
        return took

    async def of_the_tab() -> float:
        await session.connection()
        return await seconds(read_inventory(session))

    async def bare_whole() -> float:
        return bare(database, STRUCTURE)

    async def bare_of_the_tab() -> float:
        return bare(database, INVENTORY)

    try:
        pairs = await by_turns(ROUNDS, whole, bare_whole)
        tab = await by_turns(ROUNDS, of_the_tab, bare_of_the_tab)
    finally:
        await session.close()
    words = f"of {TABLES:,} tables and {INDEXES:,} indexes against the same SQL bare"
    met = [
        record(
            SECTION, f"{what} {words}", found.ratio.median, 1.3,
            ours=found.ours.words("s"), beside=found.theirs.words("s"),
        )
        for what, found in (("whole structure", pairs), ("Schema tab", tab))
    ]  # fmt: skip
    assert all(met)


async def test_the_tree_against_harlequins(wide_server: LocalServer, private_home: Path) -> None:
    """Theirs holds names and types; ours also rows, use, vacuum, indexes and constraints."""
    database = wide_server.conninfo("wide")
    session = Session(Target("wide", database))
    named, opened = [], []
    try:
        for _ in range(TREE_ROUNDS):
            connection = await session.connection()
            tab = await seconds(read_inventory(session))
            whole = await seconds(read_catalog(connection))
            their_tab, their_whole = _harlequin(database, private_home)
            named.append((tab, their_tab))
            opened.append((whole, their_whole))
    finally:
        await session.close()
    for what, found in (("Schema tab", named), ("whole structure", opened)):
        pairs = Pairs(*(Sample(values) for values in zip(*found, strict=True)))
        seen = "names of tables" if found is named else "each table opened"
        record(
            SECTION, f"{what} against harlequin's tree, {seen}", pairs.ratio.median, None,
            ours=pairs.ours.words("s"), beside=pairs.theirs.words("s"),
        )  # fmt: skip


def _harlequin(database: Mapping[str, Any], home: Path) -> tuple[float, float]:
    """Seconds of its tree to the tables, and to all their columns."""
    python = str(Path(peer("harlequin")).with_name("python"))
    answer = subprocess.run(
        [python, "-c", HARLEQUIN, address(database)],
        env={"PGPASSFILE": str(database["passfile"]), "HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    tables, columns, named, opened = answer.stdout.split()
    assert (int(tables), int(columns)) == (TABLES, 6 * TABLES)
    return float(named), float(opened)
