"""Apply MediaNest's migrations the way `prisma migrate deploy` does, and record them so.

Each migration.sql runs as one simple-protocol query (so one implicit transaction) under Prisma's
advisory lock; a row with its SHA-256 stands in `_prisma_migrations` before it runs and is marked
finished after it.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

MIGRATIONS_DIRECTORY = Path(__file__).parent / "migrations"

PRISMA_LOCK = 72707369
"""The key of the advisory lock Prisma's schema engine takes while it migrates."""

_CREATE_HISTORY = """
CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    "id"                    VARCHAR(36) PRIMARY KEY NOT NULL,
    "checksum"              VARCHAR(64) NOT NULL,
    "finished_at"           TIMESTAMPTZ,
    "migration_name"        VARCHAR(255) NOT NULL,
    "logs"                  TEXT,
    "rolled_back_at"        TIMESTAMPTZ,
    "started_at"            TIMESTAMPTZ NOT NULL DEFAULT now(),
    "applied_steps_count"   INTEGER NOT NULL DEFAULT 0
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    """The directory's name: timestamp and description."""
    script: bytes

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.script).hexdigest()


def migrations(directory: Path = MIGRATIONS_DIRECTORY) -> list[Migration]:
    """The migrations below `directory`, in the order of their names."""
    return [
        Migration(path.parent.name, path.read_bytes())
        for path in sorted(directory.glob("*/migration.sql"))
    ]


def apply_migrations(connection: psycopg.Connection[Any]) -> list[str]:
    """Apply what is not applied yet as the connection's role; the names of those applied.

    Needs an autocommit connection: a migration is its own transaction.
    """
    connection.execute("SELECT pg_advisory_lock(%(key)s)", {"key": PRISMA_LOCK})
    try:
        connection.execute(_CREATE_HISTORY)
        rows = connection.execute(
            "SELECT migration_name FROM _prisma_migrations WHERE rolled_back_at IS NULL"
        ).fetchall()
        recorded = {str(row[0]) for row in rows}
        pending = [migration for migration in migrations() if migration.name not in recorded]
        for migration in pending:
            _apply(connection, migration)
        return [migration.name for migration in pending]
    finally:
        connection.execute("SELECT pg_advisory_unlock(%(key)s)", {"key": PRISMA_LOCK})


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    bound = {"id": str(uuid.uuid4()), "checksum": migration.checksum, "name": migration.name}
    connection.execute(
        "INSERT INTO _prisma_migrations (id, checksum, migration_name)"
        " VALUES (%(id)s, %(checksum)s, %(name)s)",
        bound,
    )
    connection.execute(migration.script)
    connection.execute(
        "UPDATE _prisma_migrations"
        " SET finished_at = clock_timestamp(), applied_steps_count = 1 WHERE id = %(id)s",
        bound,
    )
