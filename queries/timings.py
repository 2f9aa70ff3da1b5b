"""What pg_stat_statements counted, statement by statement, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

import queries
from queries import Query


@dataclass(frozen=True, slots=True)
class Counters:
    """A statement's counters since it was first counted."""

    id: int | None
    """None where the role may not see whose statement it is."""
    user_id: int
    is_toplevel: bool
    """False inside a function, where pg_stat_statements.track is 'all' (14+)."""
    calls: int
    rows: int
    total_ms: float
    """Execution, without planning."""
    plan_ms: float
    """0 unless pg_stat_statements.track_planning is on."""
    max_ms: float
    stddev_ms: float
    hit_bytes: int
    """Found in shared_buffers."""
    read_bytes: int
    dirtied_bytes: int
    written_bytes: int
    temp_read_bytes: int
    temp_written_bytes: int
    read_ms: float
    """Reading and spilling; 0 unless track_io_timing is on."""
    write_ms: float
    wal_records: int
    wal_bytes: int
    jit_ms: float | None
    """15+."""
    since: datetime | None
    """17+."""


@dataclass(frozen=True, slots=True)
class StatementText:
    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Role:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The book as a whole."""

    evictions: int
    """How often the least used entries were thrown out to make room."""
    reset_at: datetime | None


STATEMENT_COUNTERS = Query("statement_counters", Counters)
STATEMENT_TEXTS = Query("statement_texts", StatementText)
STATEMENT_LEDGER = Query("statement_ledger", Ledger)
ROLES = Query("roles_by_id", Role)

_MAJOR_OF_VERSION = {(1, 8): 13, (1, 9): 14, (1, 10): 15, (1, 11): 17, (1, 12): 18}
"""The server release that brought each version of the extension."""


def major_of_extension(version: str) -> int:
    """The server major whose columns an extension's version has (pg_stat_statements--*.sql)."""
    major, _, minor = version.partition(".")
    number = (int(major), int(minor or 0))
    known = [release for known, release in _MAJOR_OF_VERSION.items() if known <= number]
    return max(known, default=queries.OLDEST_MAJOR)


async def read_counters(
    connection: psycopg.AsyncConnection[Any], schema: str, version: str
) -> list[Counters]:
    """Every statement of this database, without texts, which the server keeps in a file.

    The columns follow the extension's `version`: after an upgrade of the server it may be older.
    """
    text = queries.text(STATEMENT_COUNTERS, major_of_extension(version) * 10000)
    statement = sql.SQL(text).format(**counted_in(schema))
    async with connection.cursor(row_factory=class_row(Counters)) as cursor:
        await cursor.execute(statement, {})
        return await cursor.fetchall()


async def read_texts(
    connection: psycopg.AsyncConnection[Any], schema: str, ids: Sequence[int]
) -> dict[int, str]:
    rows = await queries.fetch(
        connection, STATEMENT_TEXTS, {"ids": list(ids)}, relations=counted_in(schema)
    )
    return {row.id: row.text for row in rows}


async def read_ledger(
    connection: psycopg.AsyncConnection[Any], schema: str, version: str
) -> Ledger | None:
    """None where the extension is older than 1.9 and keeps no account of itself."""
    if major_of_extension(version) < 14:
        return None
    relations = {"info": sql.Identifier(schema, "pg_stat_statements_info")}
    return await queries.fetch_one(connection, STATEMENT_LEDGER, relations=relations)


def counted_in(schema: str) -> dict[str, sql.Identifier]:
    """`relations` for the questions to the function behind the view."""
    return {"counted": sql.Identifier(schema, "pg_stat_statements")}
