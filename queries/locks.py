"""The queues for locks: who waits for what, and who has it."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock held or waited for; of those held only what somebody waits for, and rows."""

    pid: int
    """0 is a prepared transaction."""
    gid: str | None
    """Of a prepared transaction."""
    is_granted: bool
    kind: str
    """pg_locks.locktype: relation, tuple, transactionid, advisory ..."""
    mode: str
    object: str
    """Equal for locks on the same thing."""
    waited_seconds: float | None
    """14+."""
    relation: str | None
    database: str | None
    page: int | None
    tuple: int | None
    transaction: str | None
    class_id: int | None
    object_id: int | None
    object_part: int | None


LOCK_QUEUE = Query("lock_queue", Lock)
