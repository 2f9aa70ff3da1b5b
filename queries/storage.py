"""What takes room on the server's disks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class Tablespace:
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class TableSize:
    name: str
    """Qualified, as SQL writes it."""
    bytes: int
    """With indexes and TOAST, as of the last VACUUM or ANALYZE."""


@dataclass(frozen=True, slots=True)
class StorageIdentity:
    """Which cluster and database this is; a restored copy has another identifier or oid."""

    cluster: str
    database_oid: int
    bytes: int
    backend_pid: int
    at: datetime


@dataclass(frozen=True, slots=True)
class TemporaryFiles:
    files: int
    bytes: int
    since: datetime
    at: datetime


TABLESPACES = Query("storage_places", Tablespace)
TABLE_SIZES = Query("table_sizes", TableSize)
STORAGE_IDENTITY = Query("storage_identity", StorageIdentity)
TEMPORARY_FILES = Query("temporary_files", TemporaryFiles)
