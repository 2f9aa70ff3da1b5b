"""The cut-over: one transaction, a short closed door, and never neither name."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import until
from conftest import SETTINGS, Database, run_sql
from psycopg import sql

from console.errors import ActionRefused, ConsoleError
from console.local_server import LocalServer, find_binaries
from console.restore.properties import Properties, copy_properties, read_properties
from console.restore.swap import (
    Swap,
    cut_over,
    drop,
    is_done,
    maintenance,
    open_door,
    refuse_if_impossible,
)
from console.target import Target

_numbers = itertools.count(1)


def as_database(conninfo: Mapping[str, str]) -> dict[str, Any]:
    """A server's parameters as psycopg.connect takes them."""
    return {**conninfo}


@dataclass(frozen=True)
class Pair:
    """A live database with 'old' in it and a restored one with 'new'."""

    server: LocalServer
    target: Target
    swap: Swap
    restored: str

    @property
    def admin(self) -> Database:
        return {**self.server.conninfo("postgres")}

    def content(self, name: str | None = None) -> str:
        """What the database of that name says, reached as any client would."""
        with psycopg.connect(
            **as_database(self.server.conninfo(name or self.swap.name))
        ) as connection:
            row = connection.execute("SELECT word FROM public.which").fetchone()
        assert row is not None
        return str(row[0])

    def names(self) -> dict[int, tuple[str, bool]]:
        with psycopg.connect(**self.admin) as connection:
            rows = connection.execute("SELECT oid::int8, datname, datallowconn FROM pg_database")
            return {oid: (name, open_) for oid, name, open_ in rows}


def _make(server: LocalServer, name: str, word: str) -> int:
    run_sql({**server.conninfo("postgres")}, sql.SQL("CREATE DATABASE {}").format(_id(name)))
    run_sql(
        {**server.conninfo(name)},
        sql.SQL("CREATE TABLE public.which AS SELECT {}::text AS word").format(sql.Literal(word)),
    )
    with psycopg.connect(**as_database(server.conninfo("postgres"))) as connection:
        row = connection.execute(
            "SELECT oid::int8 FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
    assert row is not None
    return int(row[0])


def _id(name: str) -> sql.Identifier:
    return sql.Identifier(name)


@contextmanager
def _made(server: LocalServer) -> Iterator[Pair]:
    live = f'live "{next(_numbers)}" Ü'
    restored, before = f"{live}_restore", f"{live}_before"
    leaving, entering = _make(server, live, "old"), _make(server, restored, "new")
    target = Target("home", dict(server.conninfo(live)))
    pair = Pair(server, target, Swap(live, entering, leaving, before), restored)
    yield pair
    for name, _ in pair.names().values():
        if name.startswith(live):
            run_sql(pair.admin, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(_id(name)))


@pytest.fixture
def pair(server: LocalServer) -> Iterator[Pair]:
    with _made(server) as pair:
        yield pair


async def test_both_names_change_and_both_doors_are_open_afterwards(pair: Pair) -> None:
    swapped = await cut_over(pair.target, pair.swap)
    assert swapped.downtime_seconds < 1
    assert pair.content() == "new"
    assert pair.content(pair.swap.leaving_becomes) == "old"
    assert pair.names()[pair.swap.entering] == (pair.swap.name, True)


async def test_the_same_reversed_undoes_it(pair: Pair) -> None:
    swap = pair.swap
    await cut_over(pair.target, swap)
    assert swap.leaving is not None
    await cut_over(pair.target, Swap(swap.name, swap.leaving, swap.entering, "gone for now"))
    assert pair.content() == "old"
    assert pair.content("gone for now") == "new"
    run_sql(pair.admin, 'DROP DATABASE "gone for now"')


async def test_a_lost_database_gets_its_name_back(pair: Pair) -> None:
    run_sql(pair.admin, sql.SQL("DROP DATABASE {}").format(_id(pair.swap.name)))
    await cut_over(pair.target, Swap(pair.swap.name, pair.swap.entering))
    assert pair.content() == "new"


@dataclass
class Clients:
    """Clients that ask in a loop and reconnect at once; when each got which answer."""

    pair: Pair
    answers: list[tuple[float, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def _run(self) -> None:
        parameters = self.pair.server.conninfo(self.pair.swap.name)
        while not self._stop.is_set():
            try:
                with psycopg.connect(**as_database(parameters), autocommit=True) as connection:
                    while not self._stop.is_set():
                        row = connection.execute("SELECT word FROM public.which").fetchone()
                        assert row is not None
                        self.answers.append((time.monotonic(), str(row[0])))
                        time.sleep(0.02)
            except psycopg.Error:
                continue

    def __enter__(self) -> Clients:
        self._threads = [threading.Thread(target=self._run) for _ in range(20)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def gap_seconds(self) -> float:
        """The longest time between the last answer of the old and the first of the new."""
        last_old = max(at for at, word in self.answers if word == "old")
        first_new = min(at for at, word in self.answers if word == "new")
        return first_new - last_old


async def test_twenty_clients_that_reconnect_at_once_wait_less_than_a_second(pair: Pair) -> None:
    with Clients(pair) as clients:
        assert await until(lambda: len(clients.answers) > 40)
        swapped = await cut_over(pair.target, pair.swap)
        assert await until(lambda: clients.answers[-1][1] == "new")
    assert swapped.sessions_ended >= 1
    assert swapped.downtime_seconds < 1
    assert 0 <= clients.gap_seconds < 1.5, "no old answer after a new one, and no long silence"


class _Killed(Exception):
    """Stands for the journal that could not be written."""


@dataclass
class BreakingJournal:
    """A journal whose n-th entry cannot be written: what a full disk does, or a kill."""

    breaks_at: int
    entries: list[str] = field(default_factory=list)

    def step(self, name: str) -> AbstractContextManager[dict[str, Any] | None]:
        return self._step(name)

    @contextmanager
    def _step(self, name: str) -> Iterator[dict[str, Any] | None]:
        self._append(f"{name} begins")
        yield {}
        self._append(f"{name} done")

    def _append(self, entry: str) -> None:
        if len(self.entries) + 1 == self.breaks_at:
            raise _Killed
        self.entries.append(entry)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("breaks_at", "word"), [(1, "old"), (2, "old"), (3, "old"), (4, "new"), (5, "new")]
)
async def test_wherever_the_journal_breaks_the_name_answers(
    pair: Pair, breaks_at: int, word: str
) -> None:
    journal, opened = BreakingJournal(breaks_at), []
    try:
        await cut_over(pair.target, pair.swap, step=journal.step, opened=lambda: opened.append(1))
        assert breaks_at == 5
    except _Killed:
        assert breaks_at < 5
    assert pair.content() == word
    assert bool(opened) is (word == "old")
    async with maintenance(pair.target, avoiding=[pair.swap.name]) as connection:
        assert await is_done(connection, pair.swap) is (word == "new")


async def test_a_closed_door_that_a_kill_left_is_opened_from_outside(pair: Pair) -> None:
    close = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false")
    run_sql(pair.admin, close.format(_id(pair.swap.name)), close.format(_id(pair.restored)))
    with pytest.raises(psycopg.OperationalError):
        pair.content()
    assert await open_door(pair.target, pair.swap) == "leaving"
    assert pair.content() == "old"
    assert all(allowed for name, allowed in pair.names().values() if name != "template0")


async def test_the_renaming_is_all_or_nothing(pair: Pair) -> None:
    """The second renaming fails: the first, in the same transaction, must be undone with it."""
    swap = Swap(pair.swap.name, pair.swap.entering, pair.swap.leaving, pair.restored)
    with pytest.raises(ActionRefused, match="exists already"):
        await cut_over(pair.target, swap)
    # Now past the refusal: somebody takes the new name between the look and the renaming.
    taken = Swap(pair.swap.name, pair.swap.entering, None)
    with pytest.raises(ActionRefused, match="not the database it was"):
        await cut_over(pair.target, taken)
    assert pair.content() == "old"
    assert pair.names()[pair.swap.entering] == (pair.restored, True)


async def test_somebody_who_takes_the_kept_name_meanwhile_loses_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.restore import swap as module

    close = module.close_door

    async def close_and_be_overtaken(*given: Any) -> None:
        await close(*given)
        create = sql.SQL("CREATE DATABASE {}")
        run_sql(pair.admin, create.format(_id(pair.swap.leaving_becomes)))

    monkeypatch.setattr(module, "close_door", close_and_be_overtaken)
    with pytest.raises(ConsoleError, match="already exists"):
        await cut_over(pair.target, pair.swap)
    assert pair.content() == "old"


@pytest.mark.slow
async def test_a_session_that_will_not_go_opens_the_door_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.restore import swap as module

    async def end_nobody(self: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(module._Ender, "keep_ending", end_nobody)
    with psycopg.connect(**as_database(pair.server.conninfo(pair.swap.name))):
        with pytest.raises(ActionRefused, match=r"could not be freed.*client backend"):
            await cut_over(pair.target, pair.swap, patience=0.2)
        assert pair.content() == "old"


async def test_the_live_database_is_never_dropped(pair: Pair) -> None:
    await cut_over(pair.target, pair.swap)
    async with maintenance(pair.target, avoiding=[pair.swap.name]) as connection:
        with pytest.raises(ActionRefused, match="live database"):
            await drop(connection, pair.swap.entering, but_never=pair.swap.name)
        assert pair.swap.leaving is not None
        before = pair.swap.leaving_becomes
        assert await drop(connection, pair.swap.leaving, but_never=pair.swap.name) == before
        assert await drop(connection, pair.swap.leaving, but_never=pair.swap.name) == ""
    assert pair.content() == "new"


async def test_a_database_that_is_not_the_one_it_was_is_refused(pair: Pair) -> None:
    async with maintenance(pair.target, avoiding=[pair.swap.name]) as connection:
        gone = Swap(pair.swap.name, 1_999_999_999, pair.swap.leaving, pair.swap.leaving_becomes)
        with pytest.raises(ActionRefused, match="gone"):
            await refuse_if_impossible(connection, gone)


@pytest.mark.slow
@pytest.mark.parametrize("major", [18, 15])
async def test_prepared_transactions_are_refused_before_the_door_closes(major: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="console-test-", dir="/tmp"))
    settings = {**SETTINGS, "max_prepared_transactions": "2", "shared_preload_libraries": ""}
    try:
        with LocalServer(find_binaries(major), directory, settings) as server, _made(server) as it:
            prepare = "PREPARE TRANSACTION 'left over'"
            with psycopg.connect(
                **as_database(server.conninfo(it.swap.name)), autocommit=True
            ) as connection:
                connection.execute("BEGIN")
                connection.execute("INSERT INTO which VALUES ('prepared')")
                connection.execute(prepare)
            with pytest.raises(ActionRefused, match="left over"):
                await cut_over(it.target, it.swap)
            assert it.content() == "old"
            run_sql({**server.conninfo(it.swap.name)}, "ROLLBACK PREPARED 'left over'")
            await cut_over(it.target, it.swap)
            assert it.content() == "new"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def roles(server: LocalServer) -> Iterator[tuple[str, str, str]]:
    number = next(_numbers)
    names = (f'Owner "{number}"', f"reader{number}", f"app{number}")
    admin: Database = {**server.conninfo("postgres")}
    for name in names:
        run_sql(admin, sql.SQL("CREATE ROLE {} LOGIN").format(_id(name)))
    yield names
    for name in names:
        run_sql(admin, sql.SQL("DROP ROLE IF EXISTS {}").format(_id(name)))


async def _of(pair: Pair, oid: int) -> Properties:
    async with maintenance(pair.target, avoiding=[pair.swap.name]) as connection:
        return await read_properties(connection, oid)


async def test_settings_grants_owner_limit_and_comment_are_carried_over(
    roles: tuple[str, str, str], pair: Pair
) -> None:
    app = roles[2]
    live, (o, r, a) = _id(pair.swap.name), map(_id, roles)
    run_sql(
        pair.admin,
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(live, o),
        sql.SQL('ALTER DATABASE {} SET search_path = app, "Odd ;\'Name", public').format(live),
        sql.SQL("ALTER DATABASE {} SET work_mem = '12MB'").format(live),
        sql.SQL("ALTER DATABASE {} SET my.thing = 'it''s; %s'").format(live),
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET statement_timeout = '7s'").format(a, live),
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 77").format(live),
        sql.SQL("COMMENT ON DATABASE {} IS 'The ''live'' one; %s'").format(live),
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(live),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {} WITH GRANT OPTION").format(live, r),
        sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(live, a),
    )
    with psycopg.connect(**pair.admin, autocommit=True) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(r))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(live, a))
    # What the restored one has of its own must go.
    restored = _id(pair.restored)
    run_sql(
        pair.admin,
        sql.SQL("ALTER DATABASE {} SET enable_seqscan = off").format(restored),
        sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(restored, r),
    )
    assert pair.swap.leaving is not None
    wanted = await _of(pair, pair.swap.leaving)
    assert (await _of(pair, pair.swap.entering)).differences(wanted)
    async with maintenance(pair.target, avoiding=[pair.swap.name], read_only=False) as session:
        await copy_properties(session, pair.swap.leaving, pair.swap.entering)
        await copy_properties(session, pair.swap.leaving, pair.swap.entering)
    await cut_over(pair.target, pair.swap)
    assert (await _of(pair, pair.swap.entering)).differences(wanted) == ()
    with psycopg.connect(**as_database(pair.server.conninfo(pair.swap.name))) as connection:
        row = connection.execute(
            "SELECT current_setting('search_path'), current_setting('my.thing'),"
            " has_database_privilege(%s, current_database(), 'CONNECT'),"
            " has_database_privilege('public', current_database(), 'CONNECT')",
            [app],
        ).fetchone()
    assert row == ('app, "Odd ;\'Name", public', "it's; %s", True, False)


async def test_a_database_without_grants_gets_the_default_ones(pair: Pair) -> None:
    run_sql(pair.admin, sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(_id(pair.restored)))
    assert pair.swap.leaving is not None
    async with maintenance(pair.target, avoiding=[pair.swap.name], read_only=False) as session:
        await copy_properties(session, pair.swap.leaving, pair.swap.entering)
    with psycopg.connect(**pair.admin) as connection:
        row = connection.execute(
            "SELECT has_database_privilege('public', %s, 'CONNECT')", [pair.restored]
        ).fetchone()
    assert row == (True,)
