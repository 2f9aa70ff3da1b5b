"""The server and the session itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class Server:
    """What a session is connected to."""

    version_number: int
    """libpq's number: 180006 is 18.6."""
    version: str
    database: str
    role: str
    is_superuser: bool
    in_recovery: bool
    read_only: bool
    """The server refuses writes in this session, now and in later transactions."""
    started_at: datetime
    reads_all_stats: bool
    """The role sees other roles' statistics and statements."""

    @property
    def major(self) -> int:
        return self.version_number // 10000


SERVER = Query("server", Server)
