"""What we ask PostgreSQL: one question a file in sql/, one frozen dataclass a row.

A question is named `<noun>` and stored as `sql/<noun>.v<major>.sql`, where `<major>` is the oldest
PostgreSQL it serves; the newest file that is not newer than the server is taken. Statements are
always executed with a mapping of parameters, so a literal percent sign is written `%%`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from importlib.resources import files
from typing import Any, Generic, LiteralString, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import RowMaker, class_row

OLDEST_MAJOR = 13
"""The oldest PostgreSQL major release that every question is written for."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Query(Generic[Row]):
    """A question, and the dataclass that each row of its answer becomes."""

    name: str
    row: type[Row]


@cache
def variants(name: str) -> tuple[tuple[int, str], ...]:
    """Every stored text of a question as (oldest major, SQL), newest first."""
    found = []
    for entry in files(__package__).joinpath("sql").iterdir():
        noun, _, rest = entry.name.partition(".v")
        if noun == name and rest.endswith(".sql"):
            found.append((int(rest.removesuffix(".sql")), entry.read_text("utf-8")))
    return tuple(sorted(found, reverse=True))


def text(query: Query[Any] | str, server_version: int) -> LiteralString:
    """The SQL of a question for a server.

    `server_version` is libpq's number (180006 for 18.6). Raises LookupError when no file of that
    name serves so old a server.
    """
    name = query if isinstance(query, str) else query.name
    for oldest, statement in variants(name):
        if oldest <= server_version // 10000:
            return statement
    raise LookupError(f"no {name} query serves server version {server_version}")


async def fetch(
    connection: psycopg.AsyncConnection[Any],
    query: Query[Row],
    parameters: Mapping[str, Any] | None = None,
    *,
    relations: Mapping[str, sql.Identifier] | None = None,
) -> list[Row]:
    """Ask a question; the rows come in the order the SQL gives. Raises psycopg.Error.

    `relations` fill the {placeholders} of a text that asks a relation whose schema may vary.
    """
    statement: LiteralString | sql.Composed = text(query, connection.info.server_version)
    if relations is not None:
        statement = sql.SQL(text(query, connection.info.server_version)).format(**relations)
    async with connection.cursor(row_factory=partial(_rows, query.row)) as cursor:
        await cursor.execute(statement, parameters or {})
        return await cursor.fetchall()


def _rows(row: type[Row], cursor: psycopg.AsyncCursor[Any]) -> RowMaker[Row]:
    """A maker of rows from answers whose columns stand in the order of the dataclass's fields.

    Tens of thousands are made at once, and by position one takes half the time that it takes by
    name. Columns in another order go by their names, which is also how a wrong one is told.
    """
    names = [column.name for column in cursor.description or ()]
    if names != [field.name for field in fields(row)]:  # type: ignore[arg-type]
        return class_row(row)(cursor)

    def make(values: Sequence[Any]) -> Row:
        return row(*values)

    return make


async def fetch_one(
    connection: psycopg.AsyncConnection[Any],
    query: Query[Row],
    parameters: Mapping[str, Any] | None = None,
    *,
    relations: Mapping[str, sql.Identifier] | None = None,
) -> Row:
    """Ask a question that always has one row. Raises psycopg.Error."""
    rows = await fetch(connection, query, parameters, relations=relations)
    return rows[0]
