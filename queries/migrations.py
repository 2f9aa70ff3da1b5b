"""Prisma's history of migrations in the database, and whether a migration runs now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from queries import Query


@dataclass(frozen=True, slots=True)
class MigrationRow:
    """One attempt at a migration."""

    name: str
    checksum: str
    """SHA-256 of migration.sql, in hexadecimal."""
    started_at: datetime
    finished_at: datetime | None
    """None while it runs and after it failed."""
    rolled_back_at: datetime | None
    """Set by `prisma migrate resolve`: the attempt no longer counts."""
    logs: str | None
    """What a failed attempt said; it may quote the migration's SQL."""


@dataclass(frozen=True, slots=True)
class MigrationLock:
    pid: int
    """The backend that migrates."""


MIGRATION_HISTORY = Query("migration_history", MigrationRow)
MIGRATION_LOCK = Query("migration_lock", MigrationLock)


def history_of(schema: str, table: str) -> dict[str, sql.Identifier]:
    """`relations` for MIGRATION_HISTORY."""
    return {"table": sql.Identifier(schema, table)}
