"""What a restore asks of a server as a whole: databases, sessions, roles, and its own rights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class KnownDatabase:
    oid: int
    name: str
    owner: str
    allows_connections: bool
    is_template: bool
    connection_limit: int
    """-1 is without limit."""
    comment: str | None
    tablespace: str | None


@dataclass(frozen=True, slots=True)
class DatabaseName:
    name: str


@dataclass(frozen=True, slots=True)
class DatabaseSession:
    """A process in a database: a client, a walsender, a worker."""

    pid: int
    database: str
    role: str
    application: str
    backend_type: str
    client: str


@dataclass(frozen=True, slots=True)
class EndedSession:
    pid: int
    told: bool


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    gid: str
    owner: str
    prepared_at: datetime


@dataclass(frozen=True, slots=True)
class DatabaseSlot:
    name: str
    plugin: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class DatabaseSubscription:
    name: str
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class DatabaseGrant:
    grantor: str
    grantee: str
    """'' is PUBLIC."""
    privilege: str
    is_grantable: bool
    is_from_owner: bool


@dataclass(frozen=True, slots=True)
class OwnSetting:
    role: str
    """'' is every role."""
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class KnownRole:
    name: str
    is_superuser: bool
    is_ours: bool
    """The session's role may act as it."""


@dataclass(frozen=True, slots=True)
class AvailableExtension:
    name: str
    versions: Sequence[str]
    needs_superuser: bool


@dataclass(frozen=True, slots=True)
class RestoreAbilities:
    role: str
    is_superuser: bool
    creates_databases: bool
    creates_roles: bool
    ends_sessions: bool
    """It may end other roles' sessions (not superusers', unless it is one)."""
    server_version_number: int
    server_version: str
    in_recovery: bool
    system_identifier: str
    """The cluster's own number, the same under every address it is reached by."""
    data_directory: str | None
    """None when the role may not know."""

    @property
    def server_major(self) -> int:
        return self.server_version_number // 10000


@dataclass(frozen=True, slots=True)
class KnownCollation:
    name: str


DATABASES_KNOWN = Query("databases_known", KnownDatabase)
DATABASE_NAMES = Query("database_names", DatabaseName)
DATABASE_SESSIONS = Query("database_sessions", DatabaseSession)
ENDED_SESSIONS = Query("ended_sessions", EndedSession)
PREPARED_TRANSACTIONS = Query("prepared_transactions", PreparedTransaction)
DATABASE_SLOTS = Query("database_slots", DatabaseSlot)
DATABASE_SUBSCRIPTIONS = Query("database_subscriptions", DatabaseSubscription)
DATABASE_ACL = Query("database_acl", DatabaseGrant)
DATABASE_OWN_SETTINGS = Query("database_own_settings", OwnSetting)
ROLES_KNOWN = Query("roles_known", KnownRole)
AVAILABLE_EXTENSIONS = Query("available_extensions", AvailableExtension)
RESTORE_ABILITIES = Query("restore_abilities", RestoreAbilities)
COLLATIONS_KNOWN = Query("collations_known", KnownCollation)
