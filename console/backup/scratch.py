"""Scratch databases: made beside the live ones or on a temporary server, and dropped again.

Each says in its comment whose it is, so that one left by a killed run is recognised and dropped,
and no other database ever is.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from psycopg import errors as pg

import queries
from console.backup import load, space
from console.errors import ActionRefused, ConsoleError, PrivilegeMissing, QueryFailed
from console.local_server import LocalServer, find_binaries
from console.session import Limits, connect
from console.target import Target
from console.tools import with_database
from queries.backup import OWN_DATABASES, SERVER_ABILITIES, DatabaseProperties, RoleInUse
from queries.database import create_role

_MARK = "medianest-console scratch"
_NAME_BYTES = 63
_PATIENT = Limits(statement_ms=60_000, lock_ms=10_000, connect_s=15)
_THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "archive_mode": "off",
    "max_wal_size": "2GB",
    "maintenance_work_mem": "128MB",
    "max_connections": "80",
}


@dataclass(frozen=True, slots=True)
class Scratch:
    """An empty database to restore into."""

    target: Target
    maintenance: Target
    place: str
    notes: tuple[str, ...] = ()
    """What differs from the original, such as another locale."""


def scratch_name(database: str, purpose: str) -> str:
    """NAME_purpose_STAMP, never the name of another database, and short enough for PostgreSQL."""
    suffix = f"_{purpose}_{datetime.now(UTC):%Y%m%d%H%M%S}_{secrets.token_hex(3)}"
    kept = database.encode()[: _NAME_BYTES - len(suffix)].decode("utf-8", "ignore")
    return kept + suffix


@asynccontextmanager
async def beside(
    target: Target, like: DatabaseProperties | None, purpose: str
) -> AsyncIterator[Scratch]:
    """A scratch database on the target's own server, dropped at the end whatever happens.

    Raises PrivilegeMissing when the role may not create databases, and other ConsoleErrors.
    """
    maintenance = await load.maintenance_target(target)
    async with connect(maintenance) as connection:
        abilities = await queries.fetch_one(connection, SERVER_ABILITIES)
    if not abilities.creates_databases:
        raise PrivilegeMissing(
            f"Role '{abilities.role}' may not create a scratch database.",
            f'ALTER ROLE "{abilities.role}" CREATEDB, or use a temporary server.',
        )
    await sweep(maintenance)
    name = scratch_name(like.name if like else target.dbname, purpose)
    await load.create(maintenance, name, like, comment=_comment(purpose))
    try:
        yield Scratch(with_database(target, name), maintenance, target.place)
    finally:
        await asyncio.shield(load.drop(maintenance, name))


@asynccontextmanager
async def twin(original: Scratch, purpose: str) -> AsyncIterator[Target]:
    """A copy of a scratch database, file by file, beside it; dropped at the end.

    Nobody may be connected to the original meanwhile. Raises ConsoleError kinds.
    """
    name = scratch_name(original.target.dbname, purpose)
    await load.copy(original.maintenance, original.target.dbname, name, comment=_comment(purpose))
    try:
        yield with_database(original.target, name)
    finally:
        await asyncio.shield(load.drop(original.maintenance, name))


def _comment(purpose: str) -> str:
    return f"{_MARK} for {purpose} by {os.getpid()}@{socket.gethostname()}"


async def sweep(maintenance: Target) -> tuple[str, ...]:
    """Drop scratch databases of runs on this host that are no more; their names."""
    dropped = []
    async with connect(maintenance) as connection:
        own = await queries.fetch(connection, OWN_DATABASES, {"beginning": _MARK})
    for database in own:
        pid, _, host = database.comment.rpartition(" ")[2].partition("@")
        if host == socket.gethostname() and pid.isdigit() and not _alive(int(pid)):
            await load.drop(maintenance, database.name)
            dropped.append(database.name)
    return tuple(dropped)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@asynccontextmanager
async def on_temporary_server(
    major: int,
    like: DatabaseProperties | None,
    roles: Sequence[RoleInUse],
    database_bytes: int | None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Scratch]:
    """A scratch database on a server of our own that exists only for the block.

    It is of the same major version, else of the newest here that is not older; `settings` are
    laid over those of a server whose data nobody will miss. Raises
    CommandFailed or ActionRefused when there is none, or no room.
    """
    bin_dir = await asyncio.to_thread(_fitting_server, major)
    directory = Path(tempfile.mkdtemp(prefix="medianest-console-drill-"))
    try:
        if database_bytes and space.free_bytes(directory) < database_bytes * 1.3:
            raise ActionRefused(
                f"A temporary server needs {database_bytes * 1.3 / 1024**3:.1f} GB"
                f" in {directory.parent}, which it does not have.",
                "Set TMPDIR to a directory on a larger disk.",
            )
        async with LocalServer(bin_dir, directory, {**_THROWAWAY, **(settings or {})}) as server:
            maintenance = Target("temporary server", server.conninfo("postgres"))
            await _create_roles(maintenance, roles)
            name = scratch_name(like.name if like else "database", "drill")
            notes = await _create_with_any_locale(maintenance, name, like)
            place = f"a temporary server of PostgreSQL {await _version(maintenance)}"
            yield Scratch(with_database(maintenance, name), maintenance, place, notes)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _fitting_server(major: int) -> Path:
    for candidate in range(major, major + 10):
        with suppress(ConsoleError):
            return find_binaries(candidate)
    return find_binaries(major)


async def _version(maintenance: Target) -> str:
    async with connect(maintenance) as connection:
        return str(connection.info.server_version // 10000)


async def _create_roles(maintenance: Target, roles: Sequence[RoleInUse]) -> None:
    async with connect(maintenance, read_only=False, limits=_PATIENT) as connection:
        for role in roles:
            with suppress(pg.DuplicateObject):
                await connection.execute(create_role(role))


async def _create_with_any_locale(
    maintenance: Target, name: str, like: DatabaseProperties | None
) -> tuple[str, ...]:
    """Create with the recorded locale, or with C.UTF-8 where this machine has no such locale."""
    try:
        await load.create(maintenance, name, like, comment=_comment("drill"))
        return ()
    except QueryFailed as error:
        if like is None:
            raise
        plain = replace(like, provider="c", collate="C.UTF-8", ctype="C.UTF-8", locale=None)
        plain = replace(plain, encoding="UTF8", rules=None)
        await load.create(maintenance, name, plain, comment=_comment("drill"))
        return (f"restored with locale C.UTF-8: {error.message}",)
