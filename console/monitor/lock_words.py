"""Locks in words, and which modes exclude each other."""

from __future__ import annotations

from collections.abc import Sequence

from queries.activity import Backend
from queries.locks import Lock

# PostgreSQL, Explicit Locking, table 13.2: each mode with those it excludes.
_EXCLUDES = {
    "AccessShareLock": ("AccessExclusiveLock",),
    "RowShareLock": ("ExclusiveLock", "AccessExclusiveLock"),
    "RowExclusiveLock": (
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ),
    "ShareUpdateExclusiveLock": (
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ),
    "ShareLock": (
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ),
    "ShareRowExclusiveLock": (
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ),
}
_ALL_BUT_READING = frozenset(_EXCLUDES) - {"AccessShareLock"} | {
    "ExclusiveLock",
    "AccessExclusiveLock",
}

_OPENED_BY = {
    "AccessExclusiveLock": "ALTER, DROP, TRUNCATE, VACUUM FULL",
    "ExclusiveLock": "REFRESH MATERIALIZED VIEW CONCURRENTLY, a row's lock",
    "ShareRowExclusiveLock": "CREATE TRIGGER, ADD FOREIGN KEY",
    "ShareLock": "CREATE INDEX",
    "ShareUpdateExclusiveLock": "VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY",
    "RowExclusiveLock": "INSERT, UPDATE, DELETE",
    "RowShareLock": "SELECT FOR UPDATE",
    "AccessShareLock": "SELECT",
}


def conflicts(one: str, other: str) -> bool:
    """Whether two lock modes exclude each other.

    >>> conflicts("AccessShareLock", "AccessExclusiveLock"), conflicts("ShareLock", "ShareLock")
    (True, False)
    >>> conflicts("ExclusiveLock", "AccessShareLock"), conflicts("ExclusiveLock", "ShareLock")
    (False, True)
    """
    if "AccessExclusiveLock" in (one, other):
        return True
    if one == "ExclusiveLock":
        return other in _ALL_BUT_READING
    return other in _EXCLUDES.get(one, ())


def who_takes(mode: str) -> str:
    """Statements that take such a lock, for people who do not know the modes."""
    return _OPENED_BY.get(mode, "")


def described(lock: Lock, held_rows: Sequence[Lock]) -> str:
    """What is waited for. `held_rows` are the row locks of the one who waits.

    A wait for a row is a wait for the transaction that changed it; which row is told by the row
    lock that the first in its queue holds.
    """
    short = lock.mode.removesuffix("Lock")
    if lock.kind == "relation":
        return f"{short} on {lock.relation}{_elsewhere(lock)}"
    if lock.kind == "tuple":
        return f"row ({lock.page},{lock.tuple}) of {lock.relation}"
    if lock.kind in ("transactionid", "speculative token"):
        rows = [f"row ({row.page},{row.tuple}) of {row.relation}" for row in held_rows]
        of = f"transaction {lock.transaction}" if lock.transaction else "an insertion"
        return f"{rows[0]}, {of}" if rows else f"{of} to end"
    if lock.kind == "virtualxid":
        return "a transaction to end"
    if lock.kind == "advisory":
        shared = "shared " if short == "Share" else ""
        return f"{shared}advisory lock {advisory_key(lock)}{_elsewhere(lock)}"
    if lock.kind in ("extend", "page", "frozenid"):
        return f"{lock.kind} of {lock.relation}"
    return f"{short} on {lock.kind} {lock.class_id}/{lock.object_id}"


def advisory_key(lock: Lock) -> str:
    """As the application gave it: one bigint, or two integers (objsubid 2)."""
    high, low = lock.class_id or 0, lock.object_id or 0
    if lock.object_part == 2:
        return f"({_signed(high, 32)}, {_signed(low, 32)})"
    return str(_signed((high << 32) | low, 64))


def _signed(number: int, bits: int) -> int:
    return number - (1 << bits) if number >= 1 << (bits - 1) else number


def _elsewhere(lock: Lock) -> str:
    """The database, where the relation is known by its number only."""
    if lock.database and (lock.relation or "").isdigit():
        return f" of database {lock.database}"
    return ""


def gives_way(backend: Backend) -> str:
    """How a session that blocks can be made to let go."""
    if backend.state == "active":
        return f"Canceling what {backend.pid} runs (C), or the end of its transaction,"
    if backend.state and backend.state.startswith("idle in transaction"):
        return f"{backend.pid} is idle in its transaction: ending that, or K here,"
    return f"Terminating {backend.pid} (K), or its own unlocking,"
