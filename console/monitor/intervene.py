"""What an operator may do about a session, or to begin counting statements: shown, then done.

A session is named by its pid and its start, and both are compared again by the statement that
signals it: a pid that was given to somebody else meanwhile is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import errors as pg
from psycopg import sql

import queries
from console import units
from console.errors import ActionRefused, ConsoleError, PrivilegeMissing
from console.session import Limits, connect
from console.statements import Readiness, State
from console.target import Target
from queries import Query
from queries.activity import Backend
from queries.signals import CANCEL_BACKEND, TERMINATE_BACKEND, Signalled


@dataclass(frozen=True, slots=True)
class Intervention:
    """Something to confirm, and then to carry out."""

    title: str
    statement: str
    """The SQL that will run."""
    meaning: str
    """What it does, and what follows from it."""
    done: str
    """What to say afterwards."""
    signal: Query[Signalled] | None = None
    backend: Backend | None = None


def cancel(backend: Backend) -> Intervention:
    """Cancel the running statement. Raises ActionRefused where there is nothing to cancel."""
    _known(backend)
    if backend.state != "active":
        raise ActionRefused(
            f"Session {backend.pid} runs no statement that could be canceled.",
            "Terminate it (K) to end its transaction and the session.",
        )
    return Intervention(
        f"Cancel what session {backend.pid} runs",
        _shown("cancel", backend),
        f"{_who(backend)}\nIts statement fails with an error and its transaction is rolled back;"
        " the session stays.",
        f"Session {backend.pid} was asked to cancel.",
        CANCEL_BACKEND,
        backend,
    )


def terminate(backend: Backend) -> Intervention:
    """End the session. Raises ActionRefused where its identity is hidden."""
    _known(backend)
    return Intervention(
        f"Terminate session {backend.pid}",
        _shown("terminate", backend),
        f"{_who(backend)}\nIts transaction is rolled back and its connection closed; most"
        " applications connect again.",
        f"Session {backend.pid} was asked to end.",
        TERMINATE_BACKEND,
        backend,
    )


def enable_counting(ready: Readiness) -> Intervention:
    """CREATE EXTENSION, where that is all that is missing. Raises ActionRefused elsewhere."""
    if ready.state not in (State.NOT_CREATED, State.OUTDATED, State.TOO_OLD):
        raise ActionRefused(ready.message, ready.fix or "It is there already.")
    # Where nothing is said the console's own search_path would be taken, which is pg_catalog.
    statement = "CREATE EXTENSION pg_stat_statements SCHEMA public;"
    return Intervention(
        "Count statements in this database",
        statement if ready.state is State.NOT_CREATED else ready.fix,
        "Adds the views of pg_stat_statements to this database; the server has loaded it already."
        " DROP EXTENSION pg_stat_statements; takes it away again.",
        "Statements are counted here from now on.",
    )


async def carry_out(target: Target, intervention: Intervention) -> str:
    """Do it, on a connection of its own; what to say. Raises ConsoleError kinds."""
    limits = Limits(statement_ms=10_000, lock_ms=5_000)
    async with connect(target, read_only=False, limits=limits) as connection:
        try:
            if intervention.signal is None or intervention.backend is None:
                await connection.execute(intervention.statement.encode())
                return intervention.done
            who = {
                "pid": intervention.backend.pid,
                "started_at": intervention.backend.started_at,
            }
            rows = await queries.fetch(connection, intervention.signal, who)
        except psycopg.Error as error:
            explained = _explained(error, intervention)
            if explained is None:
                raise
            raise explained from error
    return _answered(rows, intervention)


def _answered(rows: list[Signalled], intervention: Intervention) -> str:
    assert intervention.backend is not None
    pid = intervention.backend.pid
    if not rows:
        raise ActionRefused(
            f"Session {pid} has ended, or its number is somebody else's by now.",
            "Nothing was done.",
        )
    if not rows[0].sent:
        raise ActionRefused(f"Session {pid} could not be signalled; it has just ended.")
    return intervention.done


def _explained(error: psycopg.Error, intervention: Intervention) -> ConsoleError | None:
    if isinstance(error, pg.InsufficientPrivilege):
        if intervention.backend is not None:
            return PrivilegeMissing(
                f"This role may not signal sessions of {intervention.backend.role}.",
                "GRANT pg_signal_backend TO the role allows it; sessions of superusers need a"
                " superuser.",
            )
        return PrivilegeMissing(
            "This role may not create the extension.",
            "Run it as a superuser in this database: " + intervention.statement,
        )
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return ActionRefused(
            "This server is a standby: nothing can be created on it.",
            "Do it on the primary; it arrives here by itself.",
        )
    return None


def _known(backend: Backend) -> None:
    if backend.is_hidden or backend.started_at is None:
        raise ActionRefused(
            f"Session {backend.pid} is hidden from this role.",
            "GRANT pg_read_all_stats and pg_signal_backend TO the role.",
        )


def _who(backend: Backend) -> str:
    parts = [
        f"role {backend.role}" if backend.role else backend.kind or "",
        f"application {backend.application}" if backend.application else "",
        f"from {backend.client}" if backend.client else "",
        f"transaction open for {units.duration(backend.transaction_seconds)}"
        if backend.transaction_seconds is not None
        else "",
    ]
    about = ", ".join(part for part in parts if part)
    query = " ".join((backend.query or "").split())
    return f"{about}\n{query[:300]}"


def _shown(function: str, backend: Backend) -> str:
    return (
        sql.SQL("SELECT {}(pid) FROM pg_stat_activity\nWHERE pid = {} AND backend_start = {};")
        .format(
            sql.SQL("pg_cancel_backend" if function == "cancel" else "pg_terminate_backend"),
            sql.Literal(backend.pid),
            sql.Literal(str(backend.started_at)),
        )
        .as_string(None)
    )
