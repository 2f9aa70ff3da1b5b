"""What guided trouble-shooting asks beyond what the tabs ask."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class DiskUse:
    database_bytes: int
    largest_relation: str | None
    """With its TOAST table and indexes, by the catalog's estimate."""
    largest_bytes: int
    temp_bytes: int
    """Written to temporary files of this database since statistics were reset."""
    data_directory: str | None
    """None where the role may not read it."""


@dataclass(frozen=True, slots=True)
class WalFiles:
    files: int
    bytes: int


DISK_USE = Query("disk_use", DiskUse)
WAL_FILES = Query("wal_files", WalFiles)
