"""Long operations that the server tells the progress of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class Operation:
    """A vacuum, an analyze, an index build, a cluster, a copy or a base backup that runs."""

    kind: str
    pid: int
    started_at: datetime | None
    """Of the session."""
    is_automatic: bool
    """By autovacuum."""
    database: str | None
    relation: str | None
    command: str | None
    phase: str | None
    """None where the role may not see it."""
    done: int | None
    total: int | None
    """Of the phase, in `unit`."""
    unit: str
    seconds: float | None
    wait_class: str | None
    wait_event: str | None


OPERATIONS = Query("operations", Operation)
