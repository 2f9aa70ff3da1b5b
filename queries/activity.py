"""Who is connected, what each does, and what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class Backend:
    """A session or a worker of the server; of a hidden one only pid, database, role are known."""

    pid: int
    started_at: datetime | None
    leader_pid: int | None
    """Whose parallel worker it is; a leader is not its own."""
    kind: str | None
    """backend_type: client backend, parallel worker, autovacuum worker, walsender ..."""
    database: str | None
    role: str | None
    application: str | None
    client: str | None
    """An address, or 'local' for a socket."""
    state: str | None
    wait_class: str | None
    wait_event: str | None
    query_seconds: float | None
    """Since the statement, or the last one of an idle session, began."""
    state_seconds: float | None
    transaction_seconds: float | None
    query_id: int | None
    """14+, with compute_query_id."""
    query: str | None
    """Its beginning."""
    blocked_by: Sequence[int]
    """Processes; 0 is a prepared transaction. For a parallel worker its leader's are named."""
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class QueryText:
    text: str | None


ACTIVITY = Query("activity", Backend)
BACKEND_QUERY = Query("backend_query", QueryText)
