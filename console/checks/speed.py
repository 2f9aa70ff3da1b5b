"""How quickly a connection is had, how long statements take, and how many sessions fit at once."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter

import psycopg

from console.checks.check import Examination, Outcome, unknown
from console.errors import ConsoleError
from console.findings import Evidence, Finding, Severity
from console.session import Connection, explain, open_connection
from console.statements import State, readiness, without_literals
from console.target import Target
from queries.statements import (
    INSTALLATION,
    SLOWEST_STATEMENTS,
    STATEMENT_TOTALS,
    Statement,
    statements_in,
)

CONNECTION = "speed.connection"
QUERIES = "speed.queries"
CONCURRENCY = "speed.concurrency"

_CONNECTIONS_TIMED = 5
_STATEMENTS_NAMED = 3


async def connection_time(examination: Examination) -> Outcome:
    """The median of several fresh connections, each from nothing to an answered question."""
    times = [await _timed(examination.target) for _ in range(_CONNECTIONS_TIMED)]
    middle = median(times)
    limit = examination.limits.connection_ms
    summary = f"{middle:.1f} ms median of {len(times)} connections (limit {limit:g} ms)"
    if middle <= limit:
        return Outcome(summary)
    answer = ", ".join(f"{time:.1f}" for time in times) + " ms"
    finding = Finding(
        CONNECTION,
        Severity.WARNING,
        "",
        f"A connection takes {middle:.0f} ms, more than {limit:g} ms.",
        Evidence(f"{len(times)} fresh connections, each answering SELECT 1", answer),
        "-- Look at the network, TLS and name lookups on the way; let applications keep a pool.",
    )
    return Outcome(summary, (finding,))


async def _timed(target: Target) -> float:
    """Milliseconds from nothing to an answer. Raises ConsoleError kinds."""
    started = perf_counter()
    connection = await open_connection(target)
    try:
        await _answers(connection, target)
        return (perf_counter() - started) * 1000
    finally:
        await connection.close()


async def _answers(connection: Connection, target: Target) -> None:
    try:
        await connection.execute("SELECT 1")
    except psycopg.Error as error:
        raise explain(error, target) from error


async def query_time(examination: Examination) -> Outcome:
    """The mean over all statements of this database that pg_stat_statements counted."""
    session = examination.session
    found = await session.fetch_one(INSTALLATION)
    ready = readiness(found)
    if not ready.is_usable or found.schema is None:
        finding = unknown(QUERIES, "pg_stat_statements", ready.message, ready.fix)
        return Outcome("not measured", (finding,))
    view = statements_in(found.schema)
    totals = await session.fetch_one(STATEMENT_TOTALS, relations=view)
    slowest = await session.fetch(SLOWEST_STATEMENTS, {"count": _STATEMENTS_NAMED}, relations=view)
    findings = []
    if ready.state is State.OUTDATED:
        findings.append(
            Finding(QUERIES, Severity.WARNING, "pg_stat_statements", ready.message, None, ready.fix)
        )
    if not totals.calls:
        return Outcome("no statements counted yet", tuple(findings))
    mean = totals.total_ms / totals.calls
    limit = examination.limits.mean_query_ms
    if mean > limit:
        findings.append(_slow(mean, limit, slowest))
    return Outcome(
        f"{mean:.2f} ms mean of {totals.calls:,} statements (limit {limit:g} ms)", tuple(findings)
    )


def _slow(mean: float, limit: float, slowest: list[Statement]) -> Finding:
    answer = "most time: " + "; ".join(
        f"{statement.mean_ms:.1f} ms x {statement.calls:,}: {_shown(statement)}"
        for statement in slowest
    )
    return Finding(
        QUERIES,
        Severity.WARNING,
        "",
        f"Statements take {mean:.0f} ms on average, more than {limit:g} ms.",
        Evidence("sum(total_exec_time) / sum(calls) of pg_stat_statements", answer),
        "-- Look at the plans of these statements with EXPLAIN (ANALYZE, BUFFERS).",
    )


def _shown(statement: Statement) -> str:
    if statement.text is None:
        return f"statement {statement.id} (text hidden)"
    text = " ".join(without_literals(statement.text).split())
    return text if len(text) <= 120 else f"{text[:119]}…"


async def concurrency(examination: Examination) -> Outcome:
    """As many sessions as the profile asks, open at the same time and each answering."""
    asked = examination.limits.connections
    results = await _open_together(examination.target, asked)
    refused = [error for error in results if error is not None]
    worked = asked - len(refused)
    summary = f"{worked}/{asked} connections at once"
    if not refused:
        return Outcome(summary)
    finding = Finding(
        CONCURRENCY,
        Severity.FAILURE,
        "",
        f"Only {worked} of {asked} connections could be opened at once and queried.",
        Evidence(f"{asked} connections opened together, each answering SELECT 1", str(refused[0])),
        "-- End idle sessions, or raise max_connections (and the role's or database's CONNECTION"
        "\n-- LIMIT) and restart: SELECT state, count(*) FROM pg_stat_activity GROUP BY state;",
    )
    return Outcome(summary, (finding,))


async def _open_together(target: Target, number: int) -> list[ConsoleError | None]:
    """Try so many connections at once, hold them until all have answered; each one's error."""
    everyone_tried = asyncio.Event()
    remaining = number

    async def one() -> ConsoleError | None:
        nonlocal remaining
        connection: Connection | None = None
        error = None
        try:
            try:
                connection = await open_connection(target)
                await _answers(connection, target)
            except ConsoleError as complaint:
                error = complaint
            remaining -= 1
            if remaining == 0:
                everyone_tried.set()
            await everyone_tried.wait()
        finally:
            if connection is not None:
                await connection.close()
        return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in range(number)]
    return [task.result() for task in tasks]
