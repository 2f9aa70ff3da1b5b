"""What may trouble a database though it works: rows of the questions behind the health checks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class TableHealth:
    oid: int
    schema: str
    name: str
    kind: str
    """r table, p partitioned table, m materialized view."""
    persistence: str
    """p permanent, u unlogged."""
    is_partition: bool
    is_child: bool
    """A partition, or a table that inherits."""
    is_parent: bool
    is_of_extension: bool
    estimated_rows: float
    """The planner's; -1 when never analyzed (14 and later)."""
    estimated_bytes: int
    toast_bytes: int
    own_autovacuum: bool | None
    """The table's own autovacuum_enabled."""
    xid_age: int
    live_rows: int
    dead_rows: int
    sequential_scans: int
    sequential_rows: int
    last_analyze: datetime | None


@dataclass(frozen=True, slots=True)
class SequenceUse:
    """A sequence that does not start again at its end."""

    name: str
    """With its schema, quoted; so are table and column."""
    increment: int
    start_value: int
    minimum: int
    maximum: int
    table: str | None
    column: str | None
    column_type: str | None
    is_readable: bool
    last_value: int | None


@dataclass(frozen=True, slots=True)
class TableLayout:
    """A table as of its last VACUUM or ANALYZE."""

    oid: int
    pages: int
    rows: float
    page_bytes: int
    fill_percent: int
    width: float | None
    """Average bytes of a row's values; None without statistics."""
    columns: int
    has_nulls: bool


@dataclass(frozen=True, slots=True)
class LeadingColumn:
    """An index on one column of a large table."""

    oid: int
    schema: str
    name: str
    table: str
    column: str
    rows: float
    null_fraction: float
    distinct_values: float
    """pg_stats.n_distinct: a number, or the negative of a fraction of the rows."""


@dataclass(frozen=True, slots=True)
class Wraparound:
    database: str
    xid_age: int
    multixact_age: int
    freeze_max_age: int


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    pid: int
    role: str | None
    application: str
    database: str | None
    state: str | None
    transaction_seconds: float
    state_seconds: float | None
    xmin_age: int | None


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    gid: str
    owner: str
    database: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ReplicationSlot:
    name: str
    type: str
    is_active: bool
    wal_status: str | None
    retained_bytes: int | None


@dataclass(frozen=True, slots=True)
class CollationDrift:
    name: str
    recorded: str | None
    actual: str | None
    statement: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class CollatedIndex:
    name: str


@dataclass(frozen=True, slots=True)
class Checksums:
    setting: str
    database: str
    failures: int
    last_failure: datetime | None


@dataclass(frozen=True, slots=True)
class EventTrigger:
    name: str
    event: str
    owner: str
    is_enabled: bool
    function: str


@dataclass(frozen=True, slots=True)
class ConnectionUse:
    connections: int
    blocked: int
    available: int
    """max_connections without the reserved ones."""


@dataclass(frozen=True, slots=True)
class Archiver:
    mode: str
    archived: int
    failed: int
    last_archived: datetime | None
    last_failed: datetime | None
    last_failed_file: str | None


@dataclass(frozen=True, slots=True)
class DisabledTrigger:
    table: str
    name: str


@dataclass(frozen=True, slots=True)
class CheckableRelation:
    oid: int
    schema: str
    name: str
    is_index: bool
    is_unique: bool
    estimated_bytes: int


@dataclass(frozen=True, slots=True)
class Amcheck:
    schema: str
    """Quoted."""
    has_heap: bool
    """verify_heapam is there (14 and later)."""
    is_allowed: bool


TABLE_HEALTH = Query("table_health", TableHealth)
SEQUENCE_USE = Query("sequence_use", SequenceUse)
TABLE_LAYOUT = Query("table_layout", TableLayout)
LEADING_COLUMNS = Query("leading_columns", LeadingColumn)
WRAPAROUND = Query("wraparound", Wraparound)
OPEN_TRANSACTIONS = Query("open_transactions", OpenTransaction)
ALL_PREPARED_TRANSACTIONS = Query("all_prepared_transactions", PreparedTransaction)
REPLICATION_SLOTS = Query("replication_slots", ReplicationSlot)
COLLATION_DRIFT = Query("collation_drift", CollationDrift)
COLLATED_INDEXES = Query("collated_indexes", CollatedIndex)
CHECKSUMS = Query("checksums", Checksums)
EVENT_TRIGGERS = Query("event_triggers", EventTrigger)
CONNECTION_USE = Query("connection_use", ConnectionUse)
ARCHIVER = Query("archiver", Archiver)
DISABLED_TRIGGERS = Query("disabled_triggers", DisabledTrigger)
CHECKABLE_RELATIONS = Query("checkable_relations", CheckableRelation)
AMCHECK = Query("amcheck", Amcheck)
