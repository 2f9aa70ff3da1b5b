"""What a backup records beside pg_dump's own archive, and what a restore is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from queries import Query


@dataclass(frozen=True, slots=True)
class Moment:
    """An exported snapshot; it can be used while its transaction is open."""

    snapshot: str
    taken_at: datetime
    wal_position: str
    in_recovery: bool
    server_version: str
    server_version_number: int
    database_bytes: int


@dataclass(frozen=True, slots=True)
class DatabaseProperties:
    """A database as CREATE DATABASE and ALTER DATABASE would write it."""

    name: str
    owner: str
    encoding: str
    provider: str
    """c libc, i ICU, b builtin."""
    collate: str
    ctype: str
    locale: str | None
    """The ICU or builtin locale."""
    rules: str | None
    collation_version: str | None
    connection_limit: int
    """-1 is without limit."""
    is_template: bool
    allows_connections: bool
    tablespace: str | None
    comment: str | None
    grants: Sequence[str]
    """As aclitem writes them: role=CTc/grantor; an empty role is PUBLIC. Empty: the default."""


@dataclass(frozen=True, slots=True)
class DatabaseSetting:
    role: str
    """'' for every role."""
    setting: str
    """NAME=VALUE."""


@dataclass(frozen=True, slots=True)
class InstalledExtension:
    name: str
    version: str
    schema: str


@dataclass(frozen=True, slots=True)
class RoleInUse:
    name: str
    is_superuser: bool
    inherits: bool
    creates_roles: bool
    creates_databases: bool
    can_login: bool
    replicates: bool
    bypasses_row_security: bool
    connection_limit: int
    member_of: Sequence[str]


@dataclass(frozen=True, slots=True)
class DumpedTable:
    schema: str
    name: str
    kind: str
    """r table, m materialized view."""
    estimated_bytes: int
    is_readable: bool


@dataclass(frozen=True, slots=True)
class DumpedObject:
    kind: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class PrismaTable:
    schema: str
    is_readable: bool


@dataclass(frozen=True, slots=True)
class ServerAbilities:
    role: str
    is_superuser: bool
    creates_databases: bool
    creates_roles: bool
    bypasses_row_security: bool


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    name: str
    comment: str
    sessions: int


@dataclass(frozen=True, slots=True)
class ExtensionState:
    is_available: bool
    schema: str | None
    """None when it is not created in this database."""


@dataclass(frozen=True, slots=True)
class EndedSession:
    pid: int
    ended: bool


MOMENT = Query("backup_moment", Moment)
DATABASE_PROPERTIES = Query("database_properties", DatabaseProperties)
DATABASE_SETTINGS = Query("database_settings", DatabaseSetting)
INSTALLED_EXTENSIONS = Query("installed_extensions", InstalledExtension)
ROLES_IN_USE = Query("roles_in_use", RoleInUse)
DUMPED_TABLES = Query("dumped_tables", DumpedTable)
DUMPED_OBJECTS = Query("dumped_objects", DumpedObject)
PRISMA_TABLE = Query("prisma_migration", PrismaTable)
SERVER_ABILITIES = Query("server_abilities", ServerAbilities)
OWN_DATABASES = Query("own_databases", OwnDatabase)
END_SESSIONS = Query("end_sessions", EndedSession)
EXTENSION_STATE = Query("extension_state", ExtensionState)


def row_count(schema: str, name: str) -> sql.Composed:
    """SELECT count(*) of one table's own rows, as pg_dump copies them (ONLY)."""
    return sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, name))


def newest_migration(schema: str) -> sql.Composed:
    """The name of the newest Prisma migration that is applied and not rolled back."""
    return sql.SQL(
        "SELECT migration_name FROM {} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
        " ORDER BY finished_at DESC, migration_name DESC LIMIT 1"
    ).format(sql.Identifier(schema, "_prisma_migrations"))
