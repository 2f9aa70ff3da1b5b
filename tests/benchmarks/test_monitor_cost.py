"""What watching costs the server, beside pg_activity at the same refresh, as the server counts it.

Run with: pytest -m benchmark -s tests/benchmarks -k cost
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pexpect
import psycopg
import pytest
from measuring import record
from peers import peer
from sessions import stage

from console.local_server import LocalServer
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.tabs import TABS

pytestmark = pytest.mark.benchmark

REFRESH_SECONDS = 2
LENGTH_SECONDS = 40
IDLE_SESSIONS = 40
ROLES = ("watched_by_console", "watched_by_pg_activity", "watched_timings")


@dataclass(frozen=True)
class Cost:
    calls_per_second: float
    ms_per_second: float


@pytest.fixture
def pg_activity() -> str:
    return os.environ.get("BENCH_PG_ACTIVITY") or peer("pg_activity")


@pytest.fixture
def busy(medianest_db: dict[str, Any], server: LocalServer) -> Iterator[dict[str, Any]]:
    """A database at work: idle sessions, a query now and then, and a chain of waiters."""
    for role in ROLES:
        server.directory.add_password(role, "watches")
        with psycopg.connect(**medianest_db, autocommit=True) as connection:
            connection.execute(
                f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'watches'"
            )
    ended = threading.Event()

    def works() -> None:
        with psycopg.connect(**medianest_db, autocommit=True) as connection:
            while not ended.wait(0.05):
                connection.execute("SELECT count(*) FROM media_requests m JOIN users u ON true")

    worker = threading.Thread(target=works)
    worker.start()
    with stage(medianest_db) as enter:
        for n in range(IDLE_SESSIONS):
            enter(f"pool-{n}")
        enter("root").does("BEGIN", "LOCK TABLE users IN EXCLUSIVE MODE")
        for n in range(3):
            enter(f"waiter-{n}").starts("UPDATE users SET name = name")
        yield medianest_db
        ended.set()
        worker.join()
    with psycopg.connect(**medianest_db, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f"DROP ROLE {role}")


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
            (list(ROLES),),
        ).fetchall()
        if os.environ.get("BENCH_DETAILS"):
            for row in connection.execute(
                "SELECT r.rolname, s.calls, round(s.total_exec_time::numeric, 2),"
                " left(regexp_replace(s.query, '\\s+', ' ', 'g'), 90)"
                " FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
                " WHERE r.rolname = ANY (%s) ORDER BY 1, 3 DESC",
                (list(ROLES),),
            ):
                print(*row)
    for role, calls, total_ms in rows:
        costs[role] = Cost(float(calls) / LENGTH_SECONDS, float(total_ms) / LENGTH_SECONDS)


async def console_watches(database: dict[str, Any], role: str, tab: str) -> None:
    """The app itself, with that tab in front."""
    number = next(n for n, entry in enumerate(TABS, 1) if entry.identity == tab)
    target = Target("benchmark", {**database, "user": role})
    app = ConsoleApp(target, Settings(refresh_seconds=REFRESH_SECONDS))
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.press(str(number))
        await asyncio.sleep(LENGTH_SECONDS)


def pg_activity_watches(program: str, database: dict[str, Any], role: str) -> pexpect.spawn:
    arguments = ["-h", database["host"], "-p", str(database["port"]), "-U", role]
    arguments += ["-d", database["dbname"], "--refresh", str(REFRESH_SECONDS)]
    environment = {**os.environ, "TERM": "xterm", "PGPASSFILE": str(database["passfile"])}
    return pexpect.spawn(
        program, arguments, env=environment, dimensions=(40, 140), encoding="utf-8", timeout=10
    )


async def test_watching_costs_the_server_less_than_pg_activity(
    pg_activity: str, busy: dict[str, Any]
) -> None:
    costs: dict[str, Cost] = {}
    with counted(busy, costs):
        peer = pg_activity_watches(pg_activity, busy, ROLES[1])
        drain = threading.Thread(target=_read_all, args=(peer,), daemon=True)
        drain.start()
        await asyncio.gather(
            console_watches(busy, ROLES[0], "activity"), console_watches(busy, ROLES[2], "timings")
        )
        assert peer.isalive(), "pg_activity ended; the figures would say nothing"
        peer.sendline("q")
        peer.close(force=True)
    print()
    for role, cost in sorted(costs.items()):
        print(f"{role:24} {cost.calls_per_second:6.2f} calls/s {cost.ms_per_second:8.3f} ms/s")
    activity, beside, timings = (costs[role].ms_per_second for role in ROLES)
    for tab, ours in (("Activity", activity), ("Timings", timings)):
        record(
            "Watching", f"server time, {tab} every {REFRESH_SECONDS} s", ours, 10, unit="ms/s",
            ours=f"{ours:.3g} ms/s", beside=f"pg_activity {beside:.3g} ms/s",
        )  # fmt: skip
    assert costs[ROLES[0]].ms_per_second < costs[ROLES[1]].ms_per_second
    assert costs[ROLES[2]].ms_per_second < costs[ROLES[1]].ms_per_second


def _read_all(peer: pexpect.spawn) -> None:
    """A full terminal buffer would stop the program."""
    while True:
        try:
            peer.read_nonblocking(65536, timeout=1)
        except pexpect.TIMEOUT:
            continue
        except (pexpect.EOF, OSError):
            return
