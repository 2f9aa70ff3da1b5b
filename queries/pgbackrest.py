"""What is asked of a server to hold it against the archive of its WAL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class WalArchiving:
    system_identifier: str
    in_recovery: bool
    lsn: str | None
    """Written up to here; on a standby replayed."""
    segment_bytes: int
    archive_mode: str
    last_archived_wal: str | None
    last_archived: datetime | None
    last_failed_wal: str | None
    last_failed: datetime | None
    at: datetime


WAL_ARCHIVING = Query("wal_archiving", WalArchiving)
