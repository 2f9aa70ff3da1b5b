"""What point-in-time recovery asks of a server: its WAL, its slot, and the names of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from queries import Query


@dataclass(frozen=True, slots=True)
class WalServer:
    """The server as far as receiving its WAL depends on it."""

    system_identifier: str
    server_version: str
    server_version_number: int
    in_recovery: bool
    wal_level: str
    segment_bytes: int
    max_wal_senders: int
    max_replication_slots: int
    slot_limit_mb: int
    """max_slot_wal_keep_size; -1 is without limit."""
    summarizes_wal: bool
    has_checksums: bool
    archive_mode: str
    role: str
    may_replicate: bool
    is_superuser: bool
    superuser: str
    """The bootstrap superuser."""
    tablespaces: int
    """Those outside the data directory."""
    at: datetime


@dataclass(frozen=True, slots=True)
class WalSample:
    """How far the server is, and how far the slot says that the receiver is."""

    at: datetime
    insert_lsn: str
    flush_lsn: str
    timeline: str
    """Eight hexadecimal digits."""
    slot_exists: bool
    slot_active: bool
    restart_lsn: str | None
    wal_status: str | None
    """reserved, extended, unreserved or lost."""
    safe_bytes: int | None
    """What may still be written before the slot is lost; None without a limit."""
    retained_bytes: int | None
    slot_limit_mb: int


@dataclass(frozen=True, slots=True)
class NamedFile:
    database: int
    file: int
    name: str


@dataclass(frozen=True, slots=True)
class Tablespace:
    oid: int
    location: str


@dataclass(frozen=True, slots=True)
class ReplayState:
    """Where a recovering server stands."""

    in_recovery: bool
    is_paused: bool
    replayed_lsn: str | None
    replayed_at: datetime | None
    """The time of the last transaction replayed."""
    timeline: int


@dataclass(frozen=True, slots=True)
class TakenColumn:
    """A column as CREATE TABLE writes it; generated ones are taken as plain values."""

    name: str
    type: str
    collation_schema: str | None
    collation: str | None


@dataclass(frozen=True, slots=True)
class RecoveryLocks:
    relations: int


WAL_SERVER = Query("wal_server", WalServer)
WAL_SAMPLE = Query("wal_sample", WalSample)
NAMED_FILES = Query("named_files", NamedFile)
TABLESPACES = Query("tablespaces", Tablespace)
REPLAY_STATE = Query("replay_state", ReplayState)
RECOVERY_LOCKS = Query("recovery_locks", RecoveryLocks)
TAKEN_COLUMNS = Query("taken_columns", TakenColumn)


def create_physical_slot(name: str) -> sql.Composed:
    """Reserves WAL at once, so that nothing is lost before the receiver first connects."""
    return sql.SQL("SELECT pg_create_physical_replication_slot({}, true)").format(sql.Literal(name))


def drop_slot(name: str) -> sql.Composed:
    return sql.SQL("SELECT pg_drop_replication_slot({})").format(sql.Literal(name))


def reload_settings() -> sql.SQL:
    return sql.SQL("SELECT pg_reload_conf()")


def limit_slots(megabytes: int) -> sql.Composed:
    return sql.SQL("ALTER SYSTEM SET max_slot_wal_keep_size = {}").format(
        sql.Literal(f"{megabytes}MB")
    )


def create_taken_table(
    schema: str, name: str, columns: Sequence[TakenColumn]
) -> tuple[sql.Composed, sql.Composed]:
    """CREATE SCHEMA and CREATE TABLE with the columns alone: no keys, defaults or triggers."""
    defined = sql.SQL(", ").join(_column(column) for column in columns)
    return (
        sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)),
        sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(schema, name), defined),
    )


def _column(column: TakenColumn) -> sql.Composed:
    # format_type quotes what needs it; it comes from the catalog of the copy.
    parts = [sql.Identifier(column.name), _as_written(column.type)]
    if column.collation is not None:
        parts += [
            sql.SQL("COLLATE"),
            sql.Identifier(column.collation_schema or "pg_catalog", column.collation),
        ]
    return sql.SQL(" ").join(parts)


def _as_written(text: str) -> sql.SQL:
    """A type's name, or a condition that an operator typed: SQL that is not ours."""
    return sql.SQL(text)


def taken_rows(schema: str, name: str, columns: Sequence[TakenColumn], where: str) -> sql.Composed:
    """Every column as text; `where` is an operator's own condition, '' for all rows."""
    chosen = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in columns
    )
    statement = sql.SQL("SELECT {} FROM {}").format(chosen, sql.Identifier(schema, name))
    if not where:
        return statement
    return sql.SQL("{} WHERE ({})").format(statement, _as_written(where))


def copy_taken(schema: str, name: str, columns: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(schema, name), names)


def bring_back(schema: str, name: str, taken_schema: str, columns: Sequence[str]) -> str:
    """What an operator may run to bring missing rows back, as text."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING;").format(
        sql.Identifier(schema, name), names, names, sql.Identifier(taken_schema, name)
    )
    return statement.as_string(None)


def promote() -> sql.SQL:
    return sql.SQL("SELECT pg_promote(true, 600)")
