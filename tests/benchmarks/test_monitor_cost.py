"""What watching costs the server, beside pg_activity at the same refresh, as the server counts it.

Run with: pytest -m benchmark -s tests/benchmarks -k cost
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pexpect
import psycopg
import pytest
from conftest import run_sql
from measuring import record
from peers import peer
from psycopg import sql
from sessions import stage
from wide import TABLES

from console.local_server import LocalServer
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.tabs import TABS

pytestmark = pytest.mark.benchmark

LENGTH_SECONDS = 40
IDLE_SESSIONS = 40
ROLES = {
    "overview": "watches_overview",
    "activity": "watches_activity",
    "timings": "watches_timings",
    "pg_activity": "watches_by_pg_activity",
}


@dataclass(frozen=True)
class Cost:
    calls_per_second: float
    ms_per_second: float


@pytest.fixture
def pg_activity() -> str:
    return os.environ.get("BENCH_PG_ACTIVITY") or peer("pg_activity")


@contextmanager
def busy(database: dict[str, Any], server: LocalServer) -> Iterator[None]:
    """At work: idle sessions, a query now and then, and a chain of waiters; who watches may."""
    run_sql(
        database,
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
        "CREATE TABLE public.watched AS SELECT 1 AS n",
    )
    for role in ROLES.values():
        server.directory.add_password(role, "watches")
        name = sql.Identifier(role)
        run_sql(
            database,
            sql.SQL("DROP ROLE IF EXISTS {}").format(name),
            sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD 'watches'").format(name),
        )
    ended = threading.Event()

    def works() -> None:
        with psycopg.connect(**database, autocommit=True) as connection:
            while not ended.wait(0.05):
                connection.execute("SELECT count(*) FROM generate_series(1, 20000)")

    worker = threading.Thread(target=works)
    worker.start()
    try:
        with stage(database) as enter:
            for n in range(IDLE_SESSIONS):
                enter(f"pool-{n}")
            enter("root").does("BEGIN", "LOCK TABLE watched IN EXCLUSIVE MODE")
            for n in range(3):
                enter(f"waiter-{n}").starts("UPDATE watched SET n = n")
            yield
    finally:
        ended.set()
        worker.join()
    run_sql(database, "DROP TABLE public.watched")
    for role in ROLES.values():
        run_sql(database, sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@contextmanager
def counted(database: dict[str, Any], costs: dict[str, Cost]) -> Iterator[None]:
    """Fill in what each role's statements cost meanwhile, planning included."""
    with psycopg.connect(**database, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_statements_reset()")
        yield
        rows = connection.execute(
            "SELECT r.rolname, sum(s.calls), sum(s.total_exec_time + s.total_plan_time)"
            " FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
            " WHERE r.rolname = ANY (%s) GROUP BY 1",
            (list(ROLES.values()),),
        ).fetchall()
        if os.environ.get("BENCH_DETAILS"):
            for row in connection.execute(
                "SELECT r.rolname, s.calls, round(s.total_exec_time::numeric, 2),"
                " left(regexp_replace(s.query, '\\s+', ' ', 'g'), 90)"
                " FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
                " WHERE r.rolname = ANY (%s) ORDER BY 1, 3 DESC",
                (list(ROLES.values()),),
            ):
                print(*row)
    for role, calls, total_ms in rows:
        costs[role] = Cost(float(calls) / LENGTH_SECONDS, float(total_ms) / LENGTH_SECONDS)


async def console_watches(database: dict[str, Any], tab: str, refresh: int) -> None:
    """The app itself, with that tab in front."""
    number = next(n for n, entry in enumerate(TABS, 1) if entry.identity == tab)
    target = Target("benchmark", {**database, "user": ROLES[tab]})
    app = ConsoleApp(target, Settings(refresh_seconds=refresh))
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.press(str(number))
        await asyncio.sleep(LENGTH_SECONDS)


@contextmanager
def pg_activity_watches(program: str, database: dict[str, Any], refresh: int) -> Iterator[None]:
    arguments = ["-h", database["host"], "-p", str(database["port"]), "-U", ROLES["pg_activity"]]
    arguments += ["-d", database["dbname"], "--refresh", str(refresh)]
    environment = {**os.environ, "TERM": "xterm", "PGPASSFILE": str(database["passfile"])}
    peer = pexpect.spawn(
        program, arguments, env=environment, dimensions=(40, 140), encoding="utf-8", timeout=10
    )
    drain = threading.Thread(target=_read_all, args=(peer,), daemon=True)
    drain.start()
    yield
    assert peer.isalive(), "pg_activity ended; the figures would say nothing"
    peer.sendline("q")
    peer.close(force=True)


async def watched(
    program: str, database: dict[str, Any], tabs: Sequence[str], refresh: int
) -> dict[str, Cost]:
    """What each tab cost, and pg_activity, all at the same time."""
    costs: dict[str, Cost] = {}
    with counted(database, costs), pg_activity_watches(program, database, refresh):
        await asyncio.gather(*(console_watches(database, tab, refresh) for tab in tabs))
    print()
    for role, cost in sorted(costs.items()):
        print(f"{role:24} {cost.calls_per_second:6.2f} calls/s {cost.ms_per_second:8.3f} ms/s")
    return {who: costs[role] for who, role in ROLES.items() if role in costs}


def _recorded(costs: dict[str, Cost], tabs: Sequence[str], refresh: str) -> bool:
    """Whether all are within the target, and below pg_activity."""
    beside = costs["pg_activity"].ms_per_second
    met = []
    for tab in tabs:
        ours = costs[tab].ms_per_second
        title = next(entry.title for entry in TABS if entry.identity == tab)
        met.append(
            record(
                "Watching", f"server time, {title} every {refresh}", ours, 10, unit="ms/s",
                ours=f"{ours:.3g} ms/s", beside=f"pg_activity {beside:.3g} ms/s",
            ) and ours < beside
        )  # fmt: skip
    return all(met)


async def test_watching_costs_the_server_less_than_pg_activity(
    pg_activity: str, medianest_db: dict[str, Any], server: LocalServer
) -> None:
    tabs = ("activity", "timings")
    with busy(medianest_db, server):
        costs = await watched(pg_activity, medianest_db, tabs, 2)
    assert _recorded(costs, tabs, "2 s")


async def test_watching_costs_little_where_there_are_ten_thousand_tables(
    pg_activity: str, wide_server: LocalServer
) -> None:
    """Connected to that database; every second, which is also what the settings say unless told."""
    assert Settings().refresh_seconds == 1
    tabs = ("overview", "activity", "timings")
    database: dict[str, Any] = {**wide_server.conninfo("wide")}
    with busy(database, wide_server):
        costs = await watched(pg_activity, database, tabs, 1)
    assert _recorded(costs, tabs, f"1 s with {TABLES:,} tables")


def _read_all(peer: pexpect.spawn) -> None:
    """A full terminal buffer would stop the program."""
    while True:
        try:
            peer.read_nonblocking(65536, timeout=1)
        except pexpect.TIMEOUT:
            continue
        except (pexpect.EOF, OSError):
            return
