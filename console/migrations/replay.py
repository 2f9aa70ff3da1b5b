"""Run a folder of migrations into scratch databases, as Prisma would, and see what it makes.

Each migration is one simple-protocol query on a session of its own. By default the databases are on
a temporary server; on the live one only when that was asked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from psycopg import errors as pg
from psycopg import sql

from console.backup import load
from console.backup.scratch import Scratch, beside, on_temporary_server, scratch_name
from console.errors import CommandFailed, ConsoleError, QueryFailed
from console.migrations.compare import Snapshot, read_snapshot
from console.migrations.folder import Folder, Migration
from console.session import Limits, connect
from console.target import Target
from console.tools import with_database
from queries.database import create_schema, set_search_path
from queries.parts import create_stub_role

REPLAYING = Limits(statement_ms=300_000, lock_ms=10_000, connect_s=15)
_MOST_ROLES = 20
_MISSING_ROLE = re.compile(r'role "(.+)" does not exist', re.DOTALL)

Report = Callable[[str], None]


def silent(line: str) -> None:
    """A report that nobody reads."""


@dataclass(slots=True)
class Bench:
    """Scratch databases for a while: on a temporary server, or beside the live database."""

    place: str
    major: int
    on_live_server: bool
    _first: Scratch
    _live: Target
    _stack: AsyncExitStack
    _is_used: bool = False
    stub_roles: list[str] = field(default_factory=list)
    """Roles that migrations name and that were made without any right, on our own server only."""

    async def new_database(self) -> Target:
        """An empty one, gone at the end. Raises ConsoleError."""
        if not self._is_used:
            self._is_used = True
            return self._first.target
        if self.on_live_server:
            more = await self._stack.enter_async_context(beside(self._live, None, "replay"))
            return more.target
        name = scratch_name("database", "replay")
        await load.create(self._first.maintenance, name, None, comment="migrations replay")
        return with_database(self._first.target, name)


@asynccontextmanager
async def bench(
    target: Target, major: int, *, on_live_server: bool = False
) -> AsyncIterator[Bench]:
    """A place to replay in; `major` is the live server's major version.

    A temporary server is of that version, else of the nearest newer one that is installed here.
    Raises CommandFailed when there is none, PrivilegeMissing without CREATEDB on the live server.
    """
    async with AsyncExitStack() as stack:
        if on_live_server:
            place = await stack.enter_async_context(beside(target, None, "replay"))
        else:
            place = await stack.enter_async_context(on_temporary_server(major, None, (), None))
        async with connect(place.target) as connection:
            found = connection.info.server_version // 10000
        yield Bench(place.place, found, on_live_server, place, target, stack)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a folder makes of an empty database."""

    target: Target
    snapshot: Snapshot
    seconds: float
    names: tuple[str, ...]


async def replay(
    where: Bench, folder: Folder, schema: str | None = None, report: Report = silent
) -> Replayed:
    """Run the folder's migrations in a new scratch database. Raises CommandFailed naming the one
    that fails, with PostgreSQL's words; `schema` is what a Prisma URL calls so."""
    began = time.monotonic()
    target = replace(await where.new_database(), schema=schema)
    if schema not in (None, "public"):
        assert schema is not None
        async with connect(target, read_only=False, limits=REPLAYING) as connection:
            await connection.execute(create_schema(schema))
    for number, migration in enumerate(folder.migrations, 1):
        report(f"{number}/{len(folder.migrations)} {migration.name}")
        await _run(where, target, migration)
    snapshot = await read_snapshot(target)
    return Replayed(target, snapshot, time.monotonic() - began, folder.names)


async def _run(where: Bench, target: Target, migration: Migration) -> None:
    """One migration; a role that it names and our own server lacks is made, without any right."""
    for _attempt in range(_MOST_ROLES):
        try:
            await run_sql(target, migration.script)
            return
        except QueryFailed as error:
            role = _missing_role(error)
            if role is None or where.on_live_server:
                raise _failed(migration, where, error) from error
            async with connect(target, read_only=False, limits=REPLAYING) as connection:
                await connection.execute(create_stub_role(role))
            where.stub_roles.append(role)
        except ConsoleError as error:
            raise _failed(migration, where, error) from error
    raise CommandFailed(f"The migration {migration.name} names more than {_MOST_ROLES} roles.")


async def run_sql(target: Target, script: bytes) -> None:
    """Run a script as Prisma does: one query, and so one transaction unless it says otherwise."""
    async with connect(
        target, read_only=False, limits=REPLAYING, plans_as_usual=True
    ) as connection:
        if target.schema is not None:
            await connection.execute(set_search_path(sql.Identifier(target.schema).as_string(None)))
        await connection.execute(script)


def _missing_role(error: QueryFailed) -> str | None:
    cause = error.__cause__
    if not isinstance(cause, pg.UndefinedObject):
        return None
    found = _MISSING_ROLE.fullmatch(cause.diag.message_primary or "")
    return found[1] if found else None


def _failed(migration: Migration, where: Bench, error: ConsoleError) -> CommandFailed:
    cause = error.message
    hint = "Replay it on the live server (--on-server), which has what it needs; or mend it."
    if "extension" in cause and not where.on_live_server:
        hint = f"{where.place.capitalize()} lacks that extension: use --on-server, or install it."
    return CommandFailed(f"The migration {migration.name} fails on {where.place}: {cause}", hint)
