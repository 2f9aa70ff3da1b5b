"""Sessions as an operator reads them: who is at work, who waits, who sits idle in a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from console.session import APPLICATION_NAME, Session
from queries.activity import ACTIVITY, BACKEND_QUERY, Backend

TEXT_LENGTH = 400
"""Characters of each statement that are read every time."""
IDLE_IN_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")
HIDDEN_HINT = "GRANT pg_read_all_stats TO the role shows them."


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at all sessions."""

    at: datetime
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    sessions: int
    """Client sessions; workers are not counted."""
    active: int
    waiting: int
    """For a lock."""
    idle_in_transaction: int
    idle: int
    hidden: int
    """Of other roles, about which this role may not know more."""


async def read_activity(session: Session) -> Sample:
    """Everybody but the console itself. Raises ConsoleError kinds."""
    rows = await session.fetch(ACTIVITY, {"own_name": APPLICATION_NAME, "text_length": TEXT_LENGTH})
    return Sample(datetime.now(UTC), tuple(with_leaders_waits(rows)))


async def read_query(session: Session, backend: Backend) -> str | None:
    """The whole statement, if the session is still the same one."""
    rows = await session.fetch(
        BACKEND_QUERY, {"pid": backend.pid, "started_at": backend.started_at}
    )
    return rows[0].text if rows else None


def with_leaders_waits(backends: Sequence[Backend]) -> list[Backend]:
    """A leader waits for what its parallel workers wait for."""
    waited: dict[int, set[int]] = {}
    for backend in backends:
        if backend.leader_pid is not None and backend.blocked_by:
            waited.setdefault(backend.leader_pid, set()).update(backend.blocked_by)
    return [
        replace(backend, blocked_by=sorted({*backend.blocked_by, *waited[backend.pid]}))
        if backend.pid in waited
        else replace(backend, blocked_by=sorted(set(backend.blocked_by)))
        for backend in backends
    ]


def key_of(backend: Backend) -> str:
    """The session, not the number of its process, which the system gives out again."""
    return f"{backend.pid}/{backend.started_at}"


def is_client(backend: Backend) -> bool:
    return backend.kind == "client backend" or backend.is_hidden


def is_idle(backend: Backend) -> bool:
    """Nothing runs and no transaction is open; hidden sessions count, as they may be."""
    return backend.state == "idle" or (backend.is_hidden and backend.state is None)


def is_waiting(backend: Backend) -> bool:
    """For another session; Client waits are nobody's fault."""
    return bool(backend.blocked_by) or backend.wait_class == "Lock"


def summary(backends: Iterable[Backend]) -> Summary:
    clients = [backend for backend in backends if is_client(backend)]
    return Summary(
        sessions=len(clients),
        active=sum(backend.state == "active" for backend in clients),
        waiting=sum(is_waiting(backend) for backend in clients),
        idle_in_transaction=sum(backend.state in IDLE_IN_TRANSACTION for backend in clients),
        idle=sum(backend.state == "idle" for backend in clients),
        hidden=sum(backend.is_hidden for backend in clients),
    )


def running_seconds(backend: Backend) -> float | None:
    """How long it has been doing what it does: the statement, or sitting in its state."""
    if backend.state == "active" or backend.state is None:
        return backend.query_seconds
    return backend.state_seconds


def urgency(backend: Backend) -> tuple[int, float]:
    """For sorting: who waits first, then who works, then open transactions; longest first."""
    if is_waiting(backend):
        rank = 0
    elif backend.state == "active":
        rank = 1
    elif backend.state in IDLE_IN_TRANSACTION:
        rank = 2
    elif not is_client(backend):
        rank = 3
    else:
        rank = 4
    return rank, -(running_seconds(backend) or 0.0)


def by_pid(backends: Iterable[Backend]) -> Mapping[int, Backend]:
    return {backend.pid: backend for backend in backends}
