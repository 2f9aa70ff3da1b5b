"""What a schema holds besides tables' columns and indexes: routines, types, sequences, partitions,
triggers, policies, and how each relation was made.

Questions about one relation open only that relation, and nothing that somebody has locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from queries import Query


@dataclass(frozen=True, slots=True)
class Namespace:
    oid: int
    name: str
    owner: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class SchemaTotals:
    database: str
    bytes: int
    indexes: int
    read_at: datetime


@dataclass(frozen=True, slots=True)
class VacuumDue:
    oid: int
    dead_rows: int
    allowed_rows: int
    """What autovacuum lets a table have before it comes."""


@dataclass(frozen=True, slots=True)
class Routine:
    oid: int
    schema: str
    name: str
    kind: str
    """f function, p procedure, a aggregate, w window function."""
    arguments: str
    result: str | None
    language: str
    volatility: str
    """i immutable, s stable, v volatile."""
    is_security_definer: bool
    owner: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class RoutineDefinition:
    oid: int
    definition: str | None


@dataclass(frozen=True, slots=True)
class DataType:
    oid: int
    schema: str
    name: str
    qualified: str
    kind: str
    """e enum, d domain, c composite, r range."""
    owner: str
    labels: Sequence[str]
    """An enum's, in order."""
    base_type: str | None
    """A domain's base type or a range's subtype."""
    collation: str | None
    """A domain's, when it is not the base type's."""
    default_expression: str | None
    not_null: bool
    constraints: Sequence[str]
    """A domain's: CONSTRAINT name CHECK (...)."""
    attributes: Sequence[str]
    """A composite's: name type."""
    comment: str | None


@dataclass(frozen=True, slots=True)
class Extension:
    oid: int
    name: str
    definition: str
    version: str
    default_version: str | None
    """What would be installed now; None when its files are gone."""
    schema: str
    owner: str
    objects: int
    comment: str | None


@dataclass(frozen=True, slots=True)
class SequenceForm:
    oid: int
    schema: str
    name: str
    qualified: str
    type: str
    start_value: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycles: bool
    persistence: str
    table_oid: int | None
    """The table of the column it belongs to."""
    table_schema: str | None
    table_name: str | None
    column_name: str | None
    column_number: int | None
    is_identity: bool
    last_value: int | None
    """None when never used, or when it could not be read."""


@dataclass(frozen=True, slots=True)
class RelationForm:
    oid: int
    qualified: str
    """Schema and name, quoted where needed."""
    locked: bool
    query_locked: bool
    """A relation that the view reads is under an ACCESS EXCLUSIVE lock."""
    partition_key: str | None
    """RANGE (created_at), of a partitioned table."""
    partition_bound: str | None
    """FOR VALUES FROM ... TO ..., or DEFAULT, of a partition."""
    parents: Sequence[str]
    """Quoted and qualified, in order."""
    follows_parent: bool
    """A partition with the parent's columns in the parent's order."""
    options: Sequence[str]
    """name=value; those of the TOAST table begin with toast."""
    tablespace: str | None
    access_method: str | None
    of_type: str | None
    replica_identity: str
    """d default, n nothing, f full, i index."""
    replica_identity_index: str | None
    cluster_index: str | None
    forces_row_security: bool
    foreign_server: str | None
    foreign_options: Sequence[str]
    grants: Sequence[str]
    """role=privileges/grantor, as in pg_class.relacl."""
    query: str | None
    """A view's."""


@dataclass(frozen=True, slots=True)
class ColumnStorage:
    number: int
    quoted_name: str
    is_local: bool
    is_inherited: bool
    collation: str | None
    """Qualified; only when it is not the type's own."""
    storage: str | None
    compression: str | None
    statistics_target: int | None
    options: Sequence[str]
    inherited_default: str | None
    inherited_not_null: bool


@dataclass(frozen=True, slots=True)
class TableConstraint:
    oid: int
    name: str
    quoted_name: str
    type: str
    """p primary key, u unique, x exclusion, c check, f foreign key, n not null (18 and later)."""
    columns: Sequence[int]
    """Column numbers."""
    definition: str | None
    is_validated: bool
    is_local: bool
    is_inherited: bool
    no_inherit: bool
    index_options: Sequence[str]
    index_name: str | None
    """Quoted and qualified: the index it stands on, unless a foreign key."""
    comment: str | None


@dataclass(frozen=True, slots=True)
class Extra:
    """Something that hangs on a table."""

    kind: str
    """index, inherited index (a parent's index has it), trigger, policy, rule or statistics."""
    name: str
    quoted_name: str
    """With its schema where it has one of its own (index, statistics)."""
    definition: str | None
    """The statement that makes it, without its semicolon."""
    enabled: str
    """pg_trigger.tgenabled and pg_rewrite.ev_enabled: O origin, D disabled, R replica, A always;
    D also for an invalid index."""
    comment: str | None


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition or an inheriting table, at any depth below the table asked about."""

    oid: int
    parent_oid: int
    depth: int
    schema: str
    name: str
    kind: str
    bound: str | None
    estimated_rows: int


NAMESPACES = Query("namespaces", Namespace)
SCHEMA_TOTALS = Query("schema_totals", SchemaTotals)
VACUUM_DUE = Query("vacuum_due", VacuumDue)
ROUTINES = Query("routines", Routine)
ROUTINE_DEFINITIONS = Query("routine_definitions", RoutineDefinition)
TYPES = Query("types", DataType)
EXTENSIONS = Query("extensions", Extension)
SEQUENCES = Query("sequences", SequenceForm)
RELATION_FORM = Query("relation_form", RelationForm)
COLUMN_STORAGE = Query("column_storage", ColumnStorage)
TABLE_CONSTRAINTS = Query("table_constraints", TableConstraint)
RELATION_EXTRAS = Query("relation_extras", Extra)
PARTITIONS = Query("partitions", Partition)
