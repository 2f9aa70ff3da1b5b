"""Sessions: the server enforces read-only, every failure is a sentence, no lock hangs us."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, LiteralString

import psycopg
import pytest

from console.errors import (
    ConnectionFailed,
    ConsoleError,
    DatabaseMissing,
    PasswordRefused,
    QueryFailed,
    ReadOnlyRefused,
    TimedOut,
    TooManyClients,
)
from console.local_server import LocalServer
from console.session import BROWSING, Limits, Session, connect
from console.target import Target
from queries.catalog import INDEXES, read_catalog
from queries.overview import OVERVIEW
from queries.server import SERVER

Database = dict[str, Any]


def target(database: Database, **changes: Any) -> Target:
    return Target("test", {**database, **changes})


@contextlib.asynccontextmanager
async def session(database: Database) -> AsyncIterator[Session]:
    opened = Session(target(database))
    try:
        yield opened
    finally:
        await opened.close()


async def test_the_server_refuses_a_write_on_a_browsing_session(empty_db: Database) -> None:
    async with session(empty_db) as browsing:
        connection = await browsing.connection()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute("CREATE TABLE public.written (n int)")
        assert browsing.server is not None
        assert browsing.server.read_only


async def test_a_session_that_a_pooler_left_writable_is_refused(
    empty_db: Database, server: LocalServer
) -> None:
    """The proxy drops `options` from the startup packet, as pgbouncer's ignore list does."""
    socket = f"{server.host}/.s.PGSQL.{server.port}"
    async with startup_options_dropped(socket) as port:
        through = target(empty_db, host="127.0.0.1", port=str(port), password=_password(server))
        with pytest.raises(ReadOnlyRefused) as caught:
            await Session(through).connection()
    assert "read-only" in caught.value.message


def _password(server: LocalServer) -> str:
    password = server.directory.password("postgres")
    assert password is not None
    return password


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """A TCP server on a free port; everything it opened is closed at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        await closed(writer)

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def startup_options_dropped(socket: str) -> AsyncIterator[int]:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        while startup[:4] != bytes.fromhex("00030000"):
            writer.write(b"N")
            startup = await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        fields = startup[4:].split(b"\0")
        pairs = zip(fields[::2], fields[1::2], strict=False)
        kept = b"".join(k + b"\0" + v + b"\0" for k, v in pairs if k not in (b"", b"options"))
        upstream_reader, upstream = await asyncio.open_unix_connection(socket)
        upstream.write((len(kept) + 9).to_bytes(4) + startup[:4] + kept + b"\0")
        try:
            await asyncio.gather(copy(reader, upstream), copy(upstream_reader, writer))
        finally:
            await closed(upstream)

    async with serving(forward) as port:
        yield port


async def failure(where: Target) -> ConsoleError:
    with pytest.raises(ConsoleError) as caught:
        await Session(where).connection()
    error = caught.value
    assert error.message.endswith(".")
    assert error.hint.endswith((".", ")"))
    assert "\n" not in error.message
    assert "s3cret" not in str(error)
    return error


async def test_a_wrong_password_is_told_apart(empty_db: Database) -> None:
    wrong = target({**empty_db, "password": "s3cret"} | {"passfile": "/nonexistent"})
    assert isinstance(await failure(wrong), PasswordRefused)


async def test_no_password_at_all_is_told_apart(empty_db: Database) -> None:
    assert isinstance(await failure(target(empty_db, passfile="/nonexistent")), PasswordRefused)


async def test_an_unknown_role_is_a_matter_of_password(empty_db: Database) -> None:
    unknown = target(empty_db, user="nobody_known", password="s3cret")
    assert isinstance(await failure(unknown), PasswordRefused)


async def test_a_missing_database_points_at_the_backups(empty_db: Database) -> None:
    error = await failure(target(empty_db, dbname="gone"))
    assert isinstance(error, DatabaseMissing)
    assert "gone" in error.message
    assert "backup" in error.hint


async def test_an_unreachable_port_is_a_sentence() -> None:
    error = await failure(Target("x", {"host": "127.0.0.1", "port": "1", "dbname": "x"}))
    assert isinstance(error, ConnectionFailed)
    assert "refused" in error.message


async def test_a_name_that_does_not_resolve_is_a_sentence() -> None:
    error = await failure(Target("x", {"host": "no-such-host.invalid", "dbname": "x"}))
    assert isinstance(error, ConnectionFailed)


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        where = Target("x", {"host": "127.0.0.1", "port": str(port), "connect_timeout": "2"})
        started = time.monotonic()
        assert isinstance(await failure(where), ConnectionFailed)
        assert time.monotonic() - started < 5


async def test_too_many_clients_is_explained(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    held: list[psycopg.Connection[Any]] = []
    try:
        with contextlib.suppress(psycopg.OperationalError):
            while len(held) < 200:
                held.append(psycopg.connect(**limited))
        assert isinstance(await failure(target(limited)), TooManyClients)
    finally:
        for connection in held:
            connection.close()


async def test_a_lost_connection_is_opened_again_by_the_next_question(empty_db: Database) -> None:
    async with session(empty_db) as browsing:
        connection = await browsing.connection()
        with psycopg.connect(**empty_db, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(ConnectionFailed):
            await browsing.fetch(SERVER)
        assert (await browsing.fetch_one(SERVER)).read_only


@pytest.mark.parametrize(
    "locked",
    [
        "LOCK TABLE public.users IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE public.users, public.media_requests, public.error_logs"
        " IN ACCESS EXCLUSIVE MODE",
    ],
)
async def test_a_locked_table_hangs_no_reading_of_the_catalog(
    medianest_db: Database, locked: str
) -> None:
    with psycopg.connect(**medianest_db) as holder:
        holder.execute(locked)
        async with session(medianest_db) as browsing:
            catalog = await read_catalog(await browsing.connection())
    assert len([relation for relation in catalog.relations if relation.kind == "r"]) == 12
    assert any(column.default_expression for column in catalog.columns)


async def test_a_locked_catalog_is_an_error_soon_and_not_a_hang(empty_db: Database) -> None:
    async with session(empty_db) as browsing:
        await browsing.connection()
        with psycopg.connect(**empty_db) as holder:
            holder.execute("LOCK TABLE pg_catalog.pg_index IN ACCESS EXCLUSIVE MODE")
            started = time.monotonic()
            with pytest.raises(ConsoleError):
                await browsing.fetch(INDEXES, {"schemas": None})
            assert time.monotonic() - started < 3


async def test_a_cancelled_question_is_cancelled_on_the_server(empty_db: Database) -> None:
    async with connect(target(empty_db)) as connection:
        question = asyncio.create_task(connection.execute("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.2)
        question.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await question
        with psycopg.connect(**empty_db, autocommit=True) as admin:
            running = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%'"
                " AND state = 'active' AND pid <> pg_backend_pid()"
            ).fetchone()
        assert running == (0,)


async def test_a_statement_that_takes_too_long_is_ended(empty_db: Database) -> None:
    with pytest.raises(TimedOut):
        await run(empty_db, "SELECT pg_sleep(5)", Limits(statement_ms=50))


async def test_a_failing_statement_is_a_sentence(empty_db: Database) -> None:
    with pytest.raises(QueryFailed) as caught:
        await run(empty_db, "SELECT 1 / 0")
    assert caught.value.message == "Division by zero."


async def run(database: Database, statement: LiteralString, limits: Limits = BROWSING) -> None:
    async with connect(target(database), limits=limits) as connection:
        await connection.execute(statement)


async def test_the_overview_is_answered_for_a_role_without_rights(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    async with session(limited_role(medianest_db)) as browsing:
        sample = await browsing.fetch_one(OVERVIEW, {"own_name": "x"})
    assert sample.connections >= 1
    assert sample.max_connections == 100
