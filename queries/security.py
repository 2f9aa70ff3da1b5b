"""Who may do what, from where, and how secrets are kept: shapes and counts, never a secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    is_bootstrap: bool
    """The one that initdb made."""
    can_login: bool
    is_superuser: bool
    creates_roles: bool
    creates_databases: bool
    replicates: bool
    bypasses_row_security: bool
    connection_limit: int
    """-1 for none."""
    expires: bool
    has_expired: bool


@dataclass(frozen=True, slots=True)
class PasswordForm:
    role: str
    form: str
    """none, scram, md5 or other."""
    iterations: int | None


@dataclass(frozen=True, slots=True)
class Membership:
    member: str
    is_superuser: bool
    role: str
    is_admin: bool


@dataclass(frozen=True, slots=True)
class ClientSessions:
    """Sessions of one role and application from one address."""

    role: str
    is_superuser: bool
    application: str
    is_socket: bool
    address: str
    is_encrypted: bool
    protocol: str
    is_own: bool
    """The session that asks is among them."""
    sessions: int


@dataclass(frozen=True, slots=True)
class HbaRule:
    file: str
    """'' before PostgreSQL 16, which reads one file only."""
    line: int
    type: str
    """local, host, hostssl, hostnossl, hostgssenc or hostnogssenc; '' with an error."""
    databases: Sequence[str]
    users: Sequence[str]
    address: str | None
    """An address, a host name, all, samehost or samenet; None for local."""
    netmask: str | None
    method: str
    options: Sequence[str]
    error: str | None


@dataclass(frozen=True, slots=True)
class IdentityMap:
    line: int
    map: str
    system_name: str
    role: str
    error: str | None


@dataclass(frozen=True, slots=True)
class PublicGrant:
    """What PUBLIC may do with one object."""

    kind: str
    """database, schema, relation, column or default."""
    name: str
    schema: str
    privileges: str
    owner: str


@dataclass(frozen=True, slots=True)
class PublicSchema:
    owner: str
    has_database_owner: bool
    """The server knows the role pg_database_owner (14 and later)."""


@dataclass(frozen=True, slots=True)
class DefinerFunction:
    name: str
    """With schema and argument types."""
    is_procedure: bool
    owner: str
    owner_is_superuser: bool
    sets_search_path: bool
    is_public: bool
    """PUBLIC may execute it."""
    is_trigger: bool
    """It can only be called by a trigger."""


@dataclass(frozen=True, slots=True)
class UntrustedLanguage:
    language: str
    functions: int
    names: Sequence[str]
    """Up to 20."""


@dataclass(frozen=True, slots=True)
class RowSecurity:
    name: str
    owner: str
    is_enabled: bool
    is_forced: bool
    policies: int
    open_policies: int
    """Permissive ones whose expression is just true."""


@dataclass(frozen=True, slots=True)
class DefinerView:
    name: str
    reads: str
    owner: str


@dataclass(frozen=True, slots=True)
class ServerFunction:
    name: str
    grantee: str


@dataclass(frozen=True, slots=True)
class UserMapping:
    server: str
    role: str
    keeps_password: bool | None
    """None when the options are hidden from us."""


@dataclass(frozen=True, slots=True)
class Subscription:
    name: str
    keeps_password: bool


@dataclass(frozen=True, slots=True)
class Count:
    number: int


@dataclass(frozen=True, slots=True)
class TableOwner:
    owner: str
    is_superuser: bool
    can_login: bool
    tables: int
    sessions: int


@dataclass(frozen=True, slots=True)
class MedianestSecrets:
    """How many there are, and how many have the shape they should have."""

    passwords: int
    bcrypt: int
    cheap: int
    """Of bcrypt's form with a cost below 10."""
    tokens: int
    hashed: int
    plex_tokens: int
    plain_plex_tokens: int
    api_keys: int
    plain_api_keys: int


@dataclass(frozen=True, slots=True)
class MedianestExpired:
    """Rows past their time; the old ones by more than 30 days."""

    sessions: int
    old_sessions: int
    tokens: int
    old_tokens: int
    verifications: int
    old_verifications: int


ROLES = Query("security_roles", Role)
PASSWORD_FORMS = Query("password_forms", PasswordForm)
MEMBERSHIPS = Query("role_memberships", Membership)
CLIENT_SESSIONS = Query("client_sessions", ClientSessions)
HBA_RULES = Query("hba_rules", HbaRule)
IDENTITY_MAPS = Query("identity_maps", IdentityMap)
PUBLIC_GRANTS = Query("public_grants", PublicGrant)
PUBLIC_SCHEMA = Query("public_schema", PublicSchema)
DEFINER_FUNCTIONS = Query("definer_functions", DefinerFunction)
UNTRUSTED_LANGUAGES = Query("untrusted_languages", UntrustedLanguage)
ROW_SECURITY = Query("row_security", RowSecurity)
DEFINER_VIEWS = Query("definer_views", DefinerView)
SERVER_FUNCTIONS = Query("server_functions", ServerFunction)
USER_MAPPINGS = Query("user_mappings", UserMapping)
SUBSCRIPTION_COUNT = Query("subscription_count", Count)
SUBSCRIPTIONS = Query("subscription_passwords", Subscription)
TABLE_OWNERS = Query("table_owners", TableOwner)
MEDIANEST_SECRETS = Query("medianest_secrets", MedianestSecrets)
MEDIANEST_EXPIRED = Query("medianest_expired", MedianestExpired)
