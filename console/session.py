"""Sessions with the server: read-only unless an action needs otherwise, bounded in time, named.

Looking never changes anything: the server itself refuses writes on a browsing session, which is
verified when the session opens. Every psycopg error becomes a ConsoleError here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg import sql

import queries
from console.errors import (
    ConnectionFailed,
    ConsoleError,
    DatabaseMissing,
    PasswordRefused,
    PrivilegeMissing,
    QueryFailed,
    ReadOnlyRefused,
    ServerUnsupported,
    TimedOut,
    TooManyClients,
)
from console.target import Target
from queries import Query
from queries.server import SERVER, Server

Row = TypeVar("Row")
Answer = TypeVar("Answer")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

APPLICATION_NAME = "medianest-console"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the server may keep a session waiting, in milliseconds; 0 is without limit.

    None leaves what the server, the database or the role gives.
    """

    statement_ms: int | None = 5_000
    lock_ms: int | None = 300
    idle_in_transaction_ms: int | None = 60_000
    connect_s: int = 5
    """Seconds until a connection that is not made is given up."""


BROWSING = Limits()


@asynccontextmanager
async def connect(
    target: Target,
    *,
    read_only: bool = True,
    limits: Limits = BROWSING,
    plans_as_usual: bool = False,
) -> AsyncIterator[Connection]:
    """An autocommit connection, closed at the end. Raises ConsoleError kinds for every failure.

    `plans_as_usual` leaves search_path, JIT and parallelism as the role's own sessions have them.
    Errors inside the block are translated too, so callers see no psycopg.Error.
    """
    connection = await open_connection(
        target, read_only=read_only, limits=limits, plans_as_usual=plans_as_usual
    )
    try:
        yield connection
    except psycopg.Error as error:
        raise explain(error, target) from error
    finally:
        await connection.close()


async def open_connection(
    target: Target,
    *,
    read_only: bool = True,
    limits: Limits = BROWSING,
    plans_as_usual: bool = False,
) -> Connection:
    """Like `connect`, for a caller that closes the connection itself."""
    parameters: dict[str, Any] = dict(target.parameters)
    own = _options(read_only, limits) if plans_as_usual else _options(read_only, limits) | _QUIET
    parameters["options"] = " ".join(
        part
        for part in (parameters.get("options", ""), *(f"-c {k}={v}" for k, v in own.items()))
        if part
    )
    parameters.setdefault("application_name", APPLICATION_NAME)
    parameters.setdefault("connect_timeout", str(limits.connect_s))
    parameters["client_encoding"] = "UTF8"
    try:
        connection = await _opened(parameters)
    except psycopg.Error as error:
        raise explain(error, target) from error
    except UnicodeDecodeError as error:
        raise ConnectionFailed(
            "The server's answer could not be decoded.", "Check that this is a PostgreSQL server."
        ) from error
    if connection.info.server_version // 10000 < queries.OLDEST_MAJOR:
        version = connection.info.server_version
        await connection.close()
        raise ServerUnsupported(
            f"The server is PostgreSQL {version // 10000}; the console needs"
            f" {queries.OLDEST_MAJOR} or later.",
            "Upgrade the server; PostgreSQL 12 and older are no longer maintained.",
        )
    return connection


async def _opened(parameters: Mapping[str, Any]) -> Connection:
    """Connect; when cancelled meanwhile, the server is still told that nobody is there."""
    opening = asyncio.ensure_future(
        psycopg.AsyncConnection.connect(**parameters, autocommit=True, prepare_threshold=None)
    )
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        # psycopg 3.3 leaves a half-open connection, and its slot, to the garbage collector.
        opening.add_done_callback(_close_late)
        raise


def _close_late(opening: asyncio.Future[Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().pgconn.finish()


def _options(read_only: bool, limits: Limits) -> dict[str, str | int]:
    own: dict[str, str | int | None] = {
        "default_transaction_read_only": "on" if read_only else "off",
        "statement_timeout": limits.statement_ms,
        "lock_timeout": limits.lock_ms,
        "idle_in_transaction_session_timeout": limits.idle_in_transaction_ms,
        "timezone": "UTC",
    }
    return {name: setting for name, setting in own.items() if setting is not None}


_QUIET: dict[str, str | int] = {
    # Only system objects are found by bare names, so no user's function can stand in for one.
    "search_path": "pg_catalog",
    "jit": "off",
    "max_parallel_workers_per_gather": 0,
}


class Session:
    """One read-only connection that is opened when first needed and again after it was lost."""

    def __init__(self, target: Target, limits: Limits = BROWSING) -> None:
        self.target = target
        self.limits = limits
        self._connection: Connection | None = None
        self._server: Server | None = None
        self._opening = asyncio.Lock()

    @property
    def server(self) -> Server | None:
        """What the session was last connected to; None before the first connection."""
        return self._server

    async def connection(self) -> Connection:
        """The live connection. Raises ConnectionFailed and its kinds, or ReadOnlyRefused."""
        async with self._opening:
            if self._connection is None or self._connection.closed:
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> Connection:
        connection = await open_connection(self.target, limits=self.limits)
        try:
            server = await queries.fetch_one(connection, SERVER)
        except BaseException as error:
            await connection.close()
            if isinstance(error, psycopg.Error):
                raise explain(error, self.target) from error
            raise
        if not server.read_only:
            await connection.close()
            raise ReadOnlyRefused(
                "The server did not make this session read-only.",
                "Connect to PostgreSQL directly: a pooler may drop the setting"
                " default_transaction_read_only.",
            )
        self._server = server
        return connection

    async def fetch(
        self,
        query: Query[Row],
        parameters: Mapping[str, Any] | None = None,
        *,
        relations: Mapping[str, sql.Identifier] | None = None,
    ) -> list[Row]:
        """Ask a question. Raises ConsoleError kinds; the next call reopens a lost connection."""
        return await self.ask(
            lambda connection: queries.fetch(connection, query, parameters, relations=relations)
        )

    async def ask(self, question: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """Let `question` use the connection, with errors translated as `fetch` does."""
        connection = await self.connection()
        try:
            return await question(connection)
        except psycopg.Error as error:
            raise explain(error, self.target) from error

    async def fetch_one(
        self,
        query: Query[Row],
        parameters: Mapping[str, Any] | None = None,
        *,
        relations: Mapping[str, sql.Identifier] | None = None,
    ) -> Row:
        """Ask a question that always has one row."""
        return (await self.fetch(query, parameters, relations=relations))[0]

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def explain(error: psycopg.Error, target: Target) -> ConsoleError:
    """What a psycopg error means to an operator, without any part of a password."""
    for kind, build in _BY_STATE:
        if isinstance(error, kind):
            return build(error, target)
    if isinstance(error, psycopg.OperationalError) and error.sqlstate in (None, "57P01", "57P02"):
        return _unreachable(error, target)
    return QueryFailed(f"{_first_line(error)}.", _server_hint(error))


def _first_line(error: psycopg.Error) -> str:
    primary = error.diag.message_primary
    text = primary or str(error).strip().partition("\n")[0] or type(error).__name__
    return text[:1].upper() + text[1:].rstrip(".")


def _server_hint(error: psycopg.Error) -> str:
    return error.diag.message_hint or ""


def _password(error: psycopg.Error, target: Target) -> ConsoleError:
    return PasswordRefused(
        f"The server refused the password of role '{target.user}'.",
        "Check the password in the URL, PGPASSWORD or ~/.pgpass, or the rule in pg_hba.conf.",
    )


def _no_entry(error: psycopg.Error, target: Target) -> ConsoleError:
    return PasswordRefused(
        f"The server does not let role '{target.user}' in: {_first_line(error)}.",
        "Check the role's name and LOGIN right, and the rules in pg_hba.conf.",
    )


def _no_database(error: psycopg.Error, target: Target) -> ConsoleError:
    return DatabaseMissing(
        f"There is no database '{target.dbname}' on this server.",
        "Check the name with psql -l; if it was lost, restore it from a backup.",
    )


def _too_many(error: psycopg.Error, target: Target) -> ConsoleError:
    return TooManyClients(
        "All connection slots of the server are taken (too many clients).",
        "Stop an application or end idle sessions; superusers keep"
        " superuser_reserved_connections slots, so connect as one to look.",
    )


def _starting(error: psycopg.Error, target: Target) -> ConsoleError:
    return ConnectionFailed(
        f"The server is not ready: {_first_line(error)}.", "Wait, or read the server's log."
    )


def _no_privilege(error: psycopg.Error, target: Target) -> ConsoleError:
    return PrivilegeMissing(
        f"Role '{target.user}' may not do this: {_first_line(error)}.",
        "Grant it what is missing; GRANT pg_monitor TO the role is enough for monitoring.",
    )


def _locked(error: psycopg.Error, target: Target) -> ConsoleError:
    return TimedOut(
        "Another session holds a lock that this question needs.",
        "Wait for it, or see who blocks with pg_blocking_pids().",
    )


def _canceled(error: psycopg.Error, target: Target) -> ConsoleError:
    return TimedOut(f"{_first_line(error)}.", "Try again when the server is less busy.")


_BY_STATE = (
    (pg.InvalidPassword, _password),
    (pg.InvalidAuthorizationSpecification, _no_entry),
    (pg.InvalidCatalogName, _no_database),
    (pg.TooManyConnections, _too_many),
    (pg.CannotConnectNow, _starting),
    (pg.InsufficientPrivilege, _no_privilege),
    (pg.LockNotAvailable, _locked),
    (pg.QueryCanceled, _canceled),
)


def _unreachable(error: psycopg.Error, target: Target) -> ConsoleError:
    """A failure before or instead of an SQLSTATE: libpq reports these as text only."""
    text = str(error)
    if "unsupported startup parameter" in text:
        return ConnectionFailed(
            "A connection pooler stands in between and refuses the console's session settings.",
            "Connect to PostgreSQL directly, on its own port.",
        )
    for words, build in _BY_TEXT:
        if words in text:
            return build(error, target)
    reason = _reason(text)
    return ConnectionFailed(
        f"No connection to {target.place}" + (f": {reason}." if reason else "."),
        "Check that the server runs and that host and port are right.",
    )


# psycopg gives connection failures without SQLSTATE; these are the server's own English words.
_BY_TEXT = (
    ("password authentication failed", _password),
    ("no password supplied", _password),
    ("fe_sendauth", _password),
    ("too many clients", _too_many),
    ("too many connections", _too_many),
    ("remaining connection slots", _too_many),
    ("does not exist", _no_database),
    ("pg_hba.conf", _no_entry),
    ("is not permitted to log in", _no_entry),
    ("the database system is", _starting),
)


def _reason(text: str) -> str:
    """The cause in libpq's last attempt, e.g. 'Connection refused'."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    failed = [line for line in lines if "failed:" in line]
    line = (failed or lines or [""])[-1]
    return line.rpartition("failed: ")[2].rstrip(".")
