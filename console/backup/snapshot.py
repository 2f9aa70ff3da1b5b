"""One exported snapshot of the live database, and everything pg_dump leaves out, read in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import queries
from console.backup.manifest import TableRows
from console.errors import PrivilegeMissing
from console.session import Connection, Limits, connect
from console.target import Target
from queries.backup import (
    DATABASE_PROPERTIES,
    DATABASE_SETTINGS,
    DUMPED_OBJECTS,
    DUMPED_TABLES,
    END_SESSIONS,
    INSTALLED_EXTENSIONS,
    MOMENT,
    PRISMA_TABLE,
    ROLES_IN_USE,
    DatabaseProperties,
    DatabaseSetting,
    DumpedObject,
    DumpedTable,
    InstalledExtension,
    Moment,
    RoleInUse,
    newest_migration,
    row_count,
)

_PATIENT = Limits(statement_ms=0, lock_ms=30_000, connect_s=15)


@dataclass(frozen=True, slots=True)
class Facts:
    """The database at one moment."""

    moment: Moment
    properties: DatabaseProperties
    settings: tuple[DatabaseSetting, ...]
    extensions: tuple[InstalledExtension, ...]
    roles: tuple[RoleInUse, ...]
    tables: tuple[DumpedTable, ...]
    objects: tuple[DumpedObject, ...]
    migration: str | None

    @property
    def table_bytes(self) -> int:
        """What counting would have to read, by the planner's estimate."""
        return sum(table.estimated_bytes for table in self.tables)


@asynccontextmanager
async def held_snapshot(target: Target) -> AsyncIterator[tuple[Connection, Facts]]:
    """A read-only transaction whose exported snapshot is good until the block ends.

    Raises ConsoleError kinds.
    """
    async with connect(target, limits=_PATIENT) as connection:
        # The session waits while pg_dump works, which the console's own limit would end.
        await connection.execute("SET idle_in_transaction_session_timeout = 0")
        if connection.info.server_version >= 170000:
            await connection.execute("SET transaction_timeout = 0")
        await connection.execute("SET row_security = off")
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection, await _read_facts(connection)


async def _read_facts(connection: Connection) -> Facts:
    moment = await queries.fetch_one(connection, MOMENT)
    return Facts(
        moment=moment,
        properties=await queries.fetch_one(connection, DATABASE_PROPERTIES),
        settings=tuple(await queries.fetch(connection, DATABASE_SETTINGS)),
        extensions=tuple(await queries.fetch(connection, INSTALLED_EXTENSIONS)),
        roles=tuple(await queries.fetch(connection, ROLES_IN_USE)),
        tables=tuple(await queries.fetch(connection, DUMPED_TABLES)),
        objects=tuple(await queries.fetch(connection, DUMPED_OBJECTS)),
        migration=await _migration(connection),
    )


async def _migration(connection: Connection) -> str | None:
    tables = await queries.fetch(connection, PRISMA_TABLE)
    if not tables or not tables[0].is_readable:
        return None
    cursor = await connection.execute(newest_migration(tables[0].schema))
    row = await cursor.fetchone()
    return str(row[0]) if row else None


def require_readable(facts: Facts, role: str) -> None:
    """Raises PrivilegeMissing, naming them, when the role may not read every table."""
    closed = [f"{table.schema}.{table.name}" for table in facts.tables if not table.is_readable]
    if closed:
        shown = ", ".join(closed[:5]) + (f" and {len(closed) - 5} more" if len(closed) > 5 else "")
        raise PrivilegeMissing(
            f"Role '{role}' may not read {shown}, so a backup would not be whole.",
            "Back up as the owner or a superuser, or GRANT pg_read_all_data TO the role"
            " (14 and later).",
        )


async def count_rows(connection: Connection, tables: Sequence[DumpedTable]) -> list[TableRows]:
    """Count every table exactly, in the connection's own snapshot. Raises psycopg.Error."""
    counted = []
    for table in tables:
        cursor = await connection.execute(row_count(table.schema, table.name))
        row = await cursor.fetchone()
        counted.append(
            TableRows(table.schema, table.name, int(row[0]) if row else None, table.kind)
        )
    return counted


async def read_objects(target: Target) -> tuple[DumpedObject, ...]:
    """What a restored database holds, to compare with what was dumped. Raises ConsoleError."""
    async with connect(target, limits=_PATIENT) as connection:
        return tuple(await queries.fetch(connection, DUMPED_OBJECTS))


async def count_restored(target: Target) -> list[TableRows]:
    """The rows of a restored database's tables, counted exactly. Raises ConsoleError kinds."""
    async with connect(target, limits=_PATIENT) as connection:
        await connection.execute("SET row_security = off")
        tables = await queries.fetch(connection, DUMPED_TABLES)
        return await count_rows(connection, tables)


async def end_sessions(target: Target, application_name: str) -> int:
    """End our own sessions of that application name; how many there were. Raises ConsoleError.

    A program in a container goes on when `docker exec` is killed; its session is what we reach.
    """
    async with connect(target) as connection:
        parameters = {"application_name": application_name}
        return len(await queries.fetch(connection, END_SESSIONS, parameters))


async def server_major(target: Target) -> int:
    """The server's major version. Raises ConsoleError kinds."""
    async with connect(target) as connection:
        return connection.info.server_version // 10000
