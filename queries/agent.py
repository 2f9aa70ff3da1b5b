"""What the agent asks beside the Overview's figures."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class LockWait:
    """The session that waits longest for a lock; all None when none waits."""

    pid: int | None
    seconds: float | None
    relation: str | None
    """The table it waits for, as SQL would name it; None for other kinds of lock."""


LONGEST_LOCK_WAIT = Query("longest_lock_wait", LockWait)
