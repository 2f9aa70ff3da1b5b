"""Take from a side server into the live one: a whole database, or chosen tables and rows.

The database goes the way of every restore: a verified backup, restored beside the live one,
compared, and swapped in one transaction. Tables come into a schema of their own beside the live
ones, which are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg

import queries
from console.backup.dump import Progress, create_backup
from console.backup.manifest import Tier, Verdict
from console.backup.store import Backup, Store
from console.backup.verify import verify
from console.errors import ActionRefused, CommandFailed
from console.pitr.side import Side
from console.session import Connection, Limits, connect, explain
from console.settings import Settings
from console.target import Target
from console.tools import find_tools
from queries.pitr import (
    TAKEN_COLUMNS,
    TakenColumn,
    bring_back,
    copy_taken,
    create_taken_table,
    taken_rows,
)

NOTE = "point in time:"
_PATIENT = Limits(statement_ms=0, lock_ms=30_000, idle_in_transaction_ms=0, connect_s=15)


@dataclass(frozen=True, slots=True)
class TableName:
    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """'schema.table', or 'table' for public; case counts. Raises ActionRefused."""
        schema, dot, name = text.rpartition(".")
        if not name or (dot and not schema):
            raise ActionRefused(f"'{text}' is no table's name.", "Write it as schema.table.")
        return cls(schema or "public", name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Taken:
    """A table as it was, in the live database under another schema."""

    source: TableName
    schema: str
    rows: int
    columns: tuple[str, ...]

    @property
    def advice(self) -> str:
        """A statement that brings missing rows back; it is for the operator to run."""
        source = self.source
        return bring_back(source.schema, source.name, self.schema, self.columns)


async def back_up_side(
    side: Side,
    target: Target,
    settings: Settings,
    database: str = "",
    report: Callable[[Progress], None] = lambda progress: None,
) -> Backup:
    """A verified backup of a database on the side server, among the live target's own.

    `restore ID` brings it into the live server. Raises ConsoleError kinds; CommandFailed when the
    backup does not verify.
    """
    source = side.target(database or target.dbname)
    named = replace(source, name=target.name)
    store = Store(settings.backups.directory)
    tools = await find_tools(side.info.major, settings.tools, target=source)
    note = f"{NOTE} {side.info.asked}"
    backup = await create_backup(
        named, store, settings.backups, tools, tier=Tier.MANUAL, note=note, report=report
    )
    verified = await verify(store, backup, settings.tools)
    if verified.verdict is not Verdict.PASS:
        reason = verified.verification.reason if verified.verification else "unknown"
        raise CommandFailed(
            f"The backup {backup.id} of the side server did not verify: {reason}.",
            "See `backup show`, and take it again.",
        )
    return verified


async def take_table(
    side: Side, target: Target, table: TableName, *, where: str = "", schema: str = ""
) -> Taken:
    """Copy a table as it was into a new schema of the live database, whole or not at all.

    `where` chooses rows; it is evaluated on the side server, which cannot be written to. Raises
    ActionRefused when the table was not there then, or the new one is there already.
    """
    into = schema or f"recovered_{_stamp(side)}"
    async with (
        connect(side.target(target.dbname), limits=_PATIENT) as source,
        connect(target, read_only=False, limits=_PATIENT) as live,
    ):
        columns = await queries.fetch(
            source, TAKEN_COLUMNS, {"schema": table.schema, "name": table.name}
        )
        if not columns:
            raise ActionRefused(
                f"There was no table {table} at that moment.",
                "Move the side server to another moment, or check the name.",
            )
        async with live.transaction():
            await _create(live, target, into, table, columns)
            rows = await _copy(source, live, into, table, columns, where)
    return Taken(table, into, rows, tuple(column.name for column in columns))


def _stamp(side: Side) -> str:
    at = side.info.reached.last_commit_at if side.info.reached else None
    return f"{at or datetime.now(UTC):%Y%m%d_%H%M%S}"


async def _create(
    live: Connection, target: Target, into: str, table: TableName, columns: Sequence[TakenColumn]
) -> None:
    schema, created = create_taken_table(into, table.name, columns)
    await live.execute(schema)
    try:
        await live.execute(created)
    except psycopg.errors.DuplicateTable:
        raise ActionRefused(
            f"{into}.{table.name} is there already.",
            "Drop it, or choose another schema with --schema.",
        ) from None
    except psycopg.Error as error:
        raise explain(error, target) from error


async def _copy(
    source: Connection,
    live: Connection,
    into: str,
    table: TableName,
    columns: Sequence[TakenColumn],
    where: str,
) -> int:
    """Stream rows as text from one server to the other; how many."""
    statement = taken_rows(table.schema, table.name, columns, where)
    copying = copy_taken(into, table.name, [column.name for column in columns])
    rows = 0
    # Streaming goes through the extended protocol: nothing can follow the SELECT.
    async with source.cursor() as cursor, live.cursor() as writer, writer.copy(copying) as copy:
        async for row in cursor.stream(statement):
            await copy.write_row(row)
            rows += 1
    return rows
