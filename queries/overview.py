"""The figures of the Overview: one cheap row a tick, and the size once a minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters since statistics were reset, and gauges as of `at`."""

    at: datetime
    transactions: int
    rollbacks: int
    blocks_hit: int
    blocks_read: int
    deadlocks: int
    temp_bytes: int
    reset_at: datetime | None
    connections: int
    """Client backends, the console's own among them: each takes a slot."""
    active: int
    idle_in_transaction: int
    waiting_for_lock: int
    max_connections: int
    reserved_connections: int
    """Slots that only superusers (and pg_use_reserved_connections, 16+) may take."""
    longest_pid: int | None
    longest_state: str | None
    longest_seconds: float | None
    """Age of the oldest open transaction of somebody else."""
    oldest_xid_age: int
    """Transactions since the oldest row version that is not frozen, in any database."""
    freeze_max_age: int
    prepared_transactions: int
    standbys: int
    standby_bytes_behind: int | None
    inactive_slots: int
    slot_bytes_retained: int | None
    archive_mode: str
    last_archived_at: datetime | None
    last_archive_failure_at: datetime | None
    in_recovery: bool
    replay_seconds_behind: float | None


@dataclass(frozen=True, slots=True)
class DatabaseSize:
    at: datetime
    bytes: int


OVERVIEW = Query("overview", Sample)
DATABASE_SIZE = Query("database_size", DatabaseSize)
