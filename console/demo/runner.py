"""Run the demo: one server, one directory, one demo at a time, and nothing left behind."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn, cast

import platformdirs
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from console.demo import sample
from console.demo.background import running_workload
from console.demo.migrations import apply_migrations
from console.errors import ActionRefused, CommandFailed
from console.local_server import LocalServer
from console.server_binaries import find_binaries
from console.server_directory import explained, hint_for, write_private

Rows = Literal["small", "medium", "large"]

DATABASE = "medianest"
OWNER = "medianest"

# As in MediaNest's production configuration; the rest makes the console's figures live.
SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "4MB",
    "maintenance_work_mem": "64MB",
    "random_page_cost": "1.1",
    "effective_io_concurrency": "200",
    "huge_pages": "off",
    "wal_level": "replica",
    "max_wal_senders": "5",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "log_min_duration_statement": "1s",
    "log_lock_waits": "on",
    "log_statement": "ddl",
}

_SETTLE_SECONDS = 10.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    rows: Rows = "small"
    reset: bool = False
    """Throw the demo's data away first."""
    keep_running: bool = False
    """Leave the server up on leaving; the next demo in the directory takes it over."""
    directory: Path | None = None
    on_progress: Callable[[str, float | None], None] = lambda _what, _fraction: None
    """Told what is being done and how much of it is done: 0 to 1, or None when unknown."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo."""

    server: LocalServer
    conninfo: dict[str, str]
    """libpq parameters of the database `medianest`, as superuser."""
    rows: str
    """The size of the data that is there."""
    notice: str
    """What the user should know, e.g. that data of another size was kept; often empty."""


def default_directory() -> Path:
    """Where the demo lives: root's server runs as another user, who cannot enter root's home."""
    if os.geteuid() == 0:
        return Path("/var/lib/medianest-console/demo")
    return platformdirs.user_state_path("medianest-console") / "demo"


@contextmanager
def demo(options: DemoOptions) -> Iterator[Demo]:
    """Start the demo's server with MediaNest's data and workload; stop both on leaving.

    Call it in the main thread. SIGTERM and SIGHUP leave it as Ctrl-C does. Raises ConsoleError
    when it cannot be had: the directory is taken, another demo runs, the disk is full.
    """
    server = LocalServer(
        find_binaries(),
        options.directory or default_directory(),
        SETTINGS,
        keep_running=options.keep_running,
        stop_timeout=_STOP_SECONDS,
    )
    with ExitStack() as stack:
        stack.enter_context(_signals_unwind())
        server.directory.claim()
        stack.enter_context(_alone_in(server.directory.path))
        rows = _prepare(server, options)
        if not options.keep_running:
            stack.callback(server.stop)
        stack.enter_context(running_workload(server.conninfo(DATABASE, user=OWNER)))
        yield Demo(server, server.conninfo(DATABASE), rows, _notice(rows, options))


def _notice(rows: str, options: DemoOptions) -> str:
    if rows == options.rows:
        return ""
    return f"The demo holds its {rows} data already; --reset --rows {options.rows} replaces it."


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise SystemExit, so that everything started is stopped."""

    def leave(signum: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signum)

    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("the demo runs in the main thread")
    signals = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(signum, leave) for signum in signals]
    try:
        yield
    finally:
        for signum, handler in zip(signals, before, strict=True):
            signal.signal(signum, handler)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, which the kernel lets go of however we end."""
    with explained(directory):
        descriptor = os.open(directory / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = lock.read().strip() or "unknown"
            raise ActionRefused(
                f"Another demo runs in {directory} (pid {pid}).",
                "Leave that one first, or give this one a directory of its own.",
            ) from error
        with explained(directory):
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
        yield


def _prepare(server: LocalServer, options: DemoOptions) -> str:
    """Start the server with complete data, or end it; the size of the data."""
    try:
        _start(server, options)
        with _database_trouble_explained(server):
            return _ensure_database(server, options)
    except BaseException:
        # What was written so far is made again anyway, and a full disk takes no more.
        server.stop(immediately=True)
        raise


def _start(server: LocalServer, options: DemoOptions) -> None:
    adopted = _adopt_or_wait(server)
    if options.reset:
        server.stop()
        adopted = False
        options.on_progress("removing the demo's data", None)
        server.directory.remove_contents()
    if adopted:
        return
    if not server.initialised:
        options.on_progress("creating the database cluster", None)
        server.initdb()
    options.on_progress("starting PostgreSQL", None)
    server.start()


def _adopt_or_wait(server: LocalServer) -> bool:
    """Take over a server kept running; one that is just ending (its demo was killed) may end."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while server.occupant() is not None and time.monotonic() < deadline:
        if server.adopt():
            return True
        time.sleep(0.02)
    return False


@contextmanager
def _database_trouble_explained(server: LocalServer) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        # A full disk ends sessions in several ways; the log names it.
        complaint = str(error).strip().splitlines()[0].rstrip(".")
        if "No space left on device" in server.complaint():
            complaint = "No space left on device"
        raise CommandFailed(
            f"MediaNest's sample data could not be made: {complaint}.",
            hint_for(complaint, server.directory.log),
        ) from error


def _ensure_database(server: LocalServer, options: DemoOptions) -> str:
    """Make sure the database is there and complete; the size of its data.

    The record of completion is written last: without it an interrupted fill is done again.
    """
    complete = server.directory.path / "demo.json"
    if complete.exists():
        return cast(str, json.loads(complete.read_text())["rows"])
    _create_database(server)
    with _connected(server.conninfo(DATABASE, user=OWNER)) as connection:
        options.on_progress("applying the migrations", None)
        apply_migrations(connection)
        sample.fill(connection, options.rows, options.on_progress)
    with _connected(server.conninfo(DATABASE)) as connection:
        # The fill's own statements would be the slowest of all the console shows.
        connection.execute("SELECT pg_stat_statements_reset()")
    with explained(complete):
        partial = complete.with_suffix(".partial")
        write_private(partial, json.dumps({"rows": options.rows}) + "\n")
        partial.replace(complete)
    return options.rows


def _create_database(server: LocalServer) -> None:
    password = server.directory.password(OWNER)
    if password is None:
        password = secrets.token_urlsafe(24)
        server.directory.add_password(OWNER, password)
    owner, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
    with _connected(server.conninfo("postgres")) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(owner))
        # Encrypted here, and not even that logged: no log or view shall show the password.
        connection.execute("SET log_statement = 'none'")
        hashed = connection.pgconn.encrypt_password(
            password.encode(), OWNER.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, sql.Literal(hashed))
        )
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
    with _connected(server.conninfo(DATABASE)) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")


def _connected(conninfo: dict[str, str]) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(
        make_conninfo(**conninfo, application_name="medianest-console demo"), autocommit=True
    )
