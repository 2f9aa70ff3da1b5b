"""Real servers for the tests: the embedded PostgreSQL 18 and Debian's 15, started when asked for.

CONSOLE_TEST_SERVERS="13=DIRECTORY 14=DIRECTORY" (directories with `postgres` and `initdb`) runs
the tests of `server` on those instead. A database per test is copied from a template, so tests may
do to it what they like. Each is handed out as the parameters of `psycopg.connect(**database)`.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from console.demo import sample
from console.demo.migrations import apply_migrations
from console.errors import CommandFailed
from console.local_server import LocalServer, find_binaries
from console.target import Target

Database = dict[str, Any]

TEMPLATE = "medianest_template"
LIMITED_ROLE = "limited"

SETTINGS = {
    "max_connections": "100",
    "shared_buffers": "64MB",
    "shared_preload_libraries": "pg_stat_statements",
    "wal_level": "replica",
    "password_encryption": "scram-sha-256",
    "track_io_timing": "on",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}

# Textual reads some of these when it is imported, which is after this file and before fixtures.
for _name in [*os.environ]:
    if _name in ("NO_COLOR", "TEXTUAL_THEME", "DATABASE_URL") or _name.startswith("PG"):
        del os.environ[_name]

_names = itertools.count(1)
_began = time.monotonic()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """The one command that measures everything tells on its page how long it took."""
    config = session.config
    whole = config.args == ["tests/benchmarks"] and not config.option.keyword
    if whole and config.option.markexpr == "benchmark" and exitstatus in (0, 1):
        from measuring import record_run

        record_run(time.monotonic() - _began)


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, where nobody's settings are and the tour was seen."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    state = home / "state" / "medianest-console"
    state.mkdir(mode=0o700, parents=True)
    (state / "tour-seen").touch()
    return home


@pytest.fixture
def server_directory() -> Iterator[Path]:
    """An empty directory that a server's account can reach (pytest's own are closed to it)."""
    directory = Path(tempfile.mkdtemp(prefix="console-test-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listening:
        yield listening.getsockname()[1]


def _roomy_memory() -> str:
    """Where the shared servers live: in memory, where copying a template takes a sixth."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 6 * 2**30
    return str(memory) if roomy else "/tmp"


_OTHER_SERVERS: dict[int, Path] = {
    int(major): Path(directory)
    for major, directory in (
        entry.split("=", 1) for entry in os.environ.get("CONSOLE_TEST_SERVERS", "").split()
    )
}


def _running_server(major: int) -> Iterator[LocalServer]:
    try:
        binaries = _OTHER_SERVERS.get(major) or find_binaries(major)
    except CommandFailed as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))
    directory = Path(tempfile.mkdtemp(prefix=f"console-tests-pg{major}-", dir=_roomy_memory()))
    server = LocalServer(binaries, directory, SETTINGS, tcp_port=0)
    try:
        with server:
            yield server
            # Nobody wants what it holds: after hundreds of databases it would write for a minute.
            server.stop(immediately=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[int], LocalServer]]:
    """A server of a major version, started when first asked for and stopped at the end."""
    with ExitStack() as running:
        started: dict[int, LocalServer] = {}

        def server_of(major: int) -> LocalServer:
            if major not in started:
                started[major] = running.enter_context(contextmanager(_running_server)(major))
            return started[major]

        yield server_of


@pytest.fixture(scope="session")
def server18(servers: Callable[[int], LocalServer]) -> LocalServer:
    return servers(18)


@pytest.fixture(scope="session")
def server15(servers: Callable[[int], LocalServer]) -> LocalServer:
    return servers(15)


@pytest.fixture(scope="session")
def wide_server() -> Iterator[LocalServer]:
    """A cluster of its own, with the database `wide` of 10,000 tables and 30,000 indexes."""
    from wide import make_wide

    for server in _running_server(18):
        run_sql(server.conninfo("postgres"), "CREATE DATABASE wide TEMPLATE template0")
        make_wide(server.conninfo("wide"))
        yield server


@pytest.fixture(scope="session", params=[f"pg{major}" for major in _OTHER_SERVERS or (18, 15)])
def server(request: pytest.FixtureRequest, servers: Callable[[int], LocalServer]) -> LocalServer:
    """Each test that asks for it runs on every one of them."""
    return servers(int(str(request.param).removeprefix("pg")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Screens are quickly tested on the newest server; on the others with the slow tests.

    What differs between servers is in the questions and checks, which always run on both.
    """
    for item in items:
        server = getattr(item, "callspec", None)
        if server is None or not item.path.name.startswith("test_screens_"):
            continue
        if server.params.get("server", "pg18") != "pg18":
            item.add_marker(pytest.mark.slow)


def run_sql(database: Mapping[str, Any], *statements: LiteralString | sql.Composed) -> None:
    """Run each statement on its own, committed, as the database's user."""
    with psycopg.connect(**database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def server_major(database: Mapping[str, Any]) -> int:
    """The major version of the server that `database` is on."""
    with psycopg.connect(**database) as connection:
        return connection.info.server_version // 10000


def _fresh(server: LocalServer, template: str) -> Iterator[Database]:
    name = f"test_{next(_names)}"
    admin = server.conninfo("postgres")
    run_sql(
        admin,
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        ),
    )
    yield server.conninfo(name)
    run_sql(admin, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_db(server: LocalServer) -> Iterator[Database]:
    """A fresh database with nothing in it, as superuser."""
    yield from _fresh(server, "template0")


@pytest.fixture
def medianest_db(server: LocalServer) -> Iterator[Database]:
    """A fresh MediaNest with its three migrations and the small sample data, as superuser."""
    _ensure_template(server)
    yield from _fresh(server, TEMPLATE)


@pytest.fixture
def medianest18(server18: LocalServer) -> Iterator[Target]:
    """MediaNest on 18 alone, for pictures, which are of one version."""
    _ensure_template(server18)
    for database in _fresh(server18, TEMPLATE):
        yield Target("medianest", database, profile="medianest")


@pytest.fixture
def limited_role(server: LocalServer) -> Callable[[Database], Database]:
    """The same database as seen by a role with only CONNECT and pg_read_all_stats."""
    if server.directory.password(LIMITED_ROLE) is None:
        server.directory.add_password(LIMITED_ROLE, "only-looks")
        run_sql(
            server.conninfo("postgres"),
            f"CREATE ROLE {LIMITED_ROLE} LOGIN PASSWORD 'only-looks'",
            f"GRANT pg_read_all_stats TO {LIMITED_ROLE}",
        )

    def as_limited(database: Database) -> Database:
        name = sql.Identifier(database["dbname"])
        run_sql(database, sql.SQL("GRANT CONNECT ON DATABASE {} TO limited").format(name))
        return {**database, "user": LIMITED_ROLE}

    return as_limited


def _ensure_template(server: LocalServer) -> None:
    if server.directory.password("medianest") is not None:
        return
    server.directory.add_password("medianest", "sample-password")
    run_sql(
        server.conninfo("postgres"),
        "CREATE ROLE medianest LOGIN PASSWORD 'sample-password'",
        f"CREATE DATABASE {TEMPLATE} OWNER medianest",
    )
    run_sql(server.conninfo(TEMPLATE), "CREATE EXTENSION pg_stat_statements")
    owner: Database = {**server.conninfo(TEMPLATE, user="medianest")}
    with psycopg.connect(**owner, autocommit=True) as connection:
        apply_migrations(connection)
        sample.fill(connection, "small")
    run_sql(server.conninfo(TEMPLATE), "SELECT pg_stat_statements_reset()")


ODD_TEMPLATE = "odd_template"


@pytest.fixture
def odd_db(server: LocalServer) -> Iterator[Database]:
    """A fresh database of everything legal and rare (odd_schema.sql), as superuser."""
    known = "SELECT FROM pg_database WHERE datname = 'odd_template'"
    admin: Database = {**server.conninfo("postgres")}
    with psycopg.connect(**admin) as connection:
        made = connection.execute(known).rowcount == 1
    if not made:
        run_sql(admin, f"CREATE DATABASE {ODD_TEMPLATE} TEMPLATE template0")
        script = Path(__file__).with_name("odd_schema.sql").read_bytes()
        odd: Database = {**server.conninfo(ODD_TEMPLATE)}
        with psycopg.connect(**odd, autocommit=True) as connection:
            connection.execute(script)
    yield from _fresh(server, ODD_TEMPLATE)
