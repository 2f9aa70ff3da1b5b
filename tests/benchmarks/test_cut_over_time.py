"""How long clients get no answer while the restored database takes the name, by its size."""

from __future__ import annotations

import psycopg
import pytest
from backups import until
from conftest import run_sql
from measuring import Sample, record
from psycopg import sql
from test_console_restore_swap import Clients, Pair, as_database

from console.demo import sample
from console.demo.migrations import apply_migrations
from console.local_server import LocalServer
from console.restore.swap import Swap, cut_over
from console.target import Target
from console.units import size as bytes_in_words

pytestmark = pytest.mark.benchmark

TURNS = 5


def _filled(server: LocalServer, name: str, rows: str) -> None:
    run_sql(
        {**server.conninfo("postgres")},
        sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)),
    )
    with psycopg.connect(**as_database(server.conninfo(name)), autocommit=True) as connection:
        apply_migrations(connection)
        sample.fill(connection, rows)
        connection.execute("CREATE TABLE public.which AS SELECT 'old'::text AS word")


def _identity(server: LocalServer, name: str) -> tuple[int, int]:
    """Its oid and its size in bytes."""
    with psycopg.connect(**as_database(server.conninfo("postgres"))) as connection:
        row = connection.execute(
            "SELECT oid::int8, pg_database_size(oid) FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("rows", ["small", "medium", "large"])
async def test_twenty_clients_get_their_answer_within_a_second(
    server18: LocalServer, rows: str
) -> None:
    """The two change places several times, each time under clients that reconnect at once."""
    live, beside = f"cut_over_{rows}", f"cut_over_{rows}_beside"
    admin = {**server18.conninfo("postgres")}
    _filled(server18, live, rows)
    copied = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    run_sql(admin, copied.format(sql.Identifier(beside), sql.Identifier(live)))
    run_sql({**server18.conninfo(beside)}, "UPDATE public.which SET word = 'new'")
    (leaving, length), (entering, _) = _identity(server18, live), _identity(server18, beside)
    target = Target("home", server18.conninfo(live))
    silences: list[float] = []
    doors: list[float] = []
    for _turn in range(TURNS):
        swap = Swap(live, entering, leaving, f"{live}_kept")
        pair = Pair(server18, target, swap, beside)
        with Clients(pair) as clients:
            await _answers(clients, "old")
            doors.append((await cut_over(target, swap)).downtime_seconds)
            await _answers(clients, "new")
        silences.append(clients.gap_seconds)
        back = Swap(live, leaving, entering, beside)
        await cut_over(target, back)
    seen, measured = Sample(tuple(silences)), Sample(tuple(doors))
    met = record(
        "Cut-over", f"longest silence, 20 clients, {bytes_in_words(length)} ({rows})",
        max(seen.values), 1.0, unit="s", ours=f"as clients saw it {seen.words('s')}",
        beside=f"door closed {measured.words('s')}",
    )  # fmt: skip
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    run_sql(admin, *(drop.format(sql.Identifier(name)) for name in (live, beside)))
    assert met


async def _answers(clients: Clients, word: str) -> None:
    """Until many have said so."""
    assert await until(
        lambda: [answer for _, answer in clients.answers[-40:]].count(word) == 40, 30
    )
