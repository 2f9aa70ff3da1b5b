"""What the server reads and writes: blocks, WAL, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class IoCounters:
    """One kind of process doing one kind of I/O (16+)."""

    backend: str
    object: str
    """relation, temp relation, or wal (18+)."""
    context: str
    """normal, vacuum, bulkread, bulkwrite, init."""
    reads: int
    read_bytes: int
    read_ms: float
    writes: int
    write_bytes: int
    write_ms: float
    extend_bytes: int
    hits: int
    evictions: int
    fsyncs: int
    reset_at: datetime | None


@dataclass(frozen=True, slots=True)
class Writing:
    """Counters since statistics were reset."""

    at: datetime
    checkpoints_timed: int
    checkpoints_requested: int
    """Forced, e.g. as max_wal_size was reached."""
    write_ms: float
    sync_ms: float
    checkpoint_buffers: int
    backend_buffers: int | None
    """Written by sessions themselves; up to 16, in pg_stat_io after that."""
    cleaner_buffers: int
    cleaner_halts: int
    wal_records: int | None
    """14+, as all of WAL."""
    wal_full_pages: int | None
    wal_bytes: int | None
    wal_buffers_full: int | None
    reset_at: datetime | None
    checkpoint_timeout: str
    max_wal_size: str


SERVER_IO = Query("server_io", IoCounters)
WRITING = Query("writing", Writing)
