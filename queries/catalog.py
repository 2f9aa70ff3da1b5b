"""What a database is made of: relations, columns, indexes, constraints; sizes and use on request.

Everything is read in set-based queries, one a kind; whatever would open each relation (exact sizes,
index definitions) is asked for the relations that are shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import psycopg

from queries import Query, fetch


@dataclass(frozen=True, slots=True)
class Relation:
    """A row of pg_class that holds or shows rows, or a sequence."""

    oid: int
    schema: str
    name: str
    kind: str
    """r table, p partitioned table, v view, m materialized view, S sequence, f foreign table."""
    owner: str
    persistence: str
    """p permanent, u unlogged, t temporary."""
    estimated_rows: int
    """The planner's estimate; -1 when never analyzed (14 and later)."""
    estimated_bytes: int
    """Pages at the last VACUUM or ANALYZE, in bytes."""
    is_partition: bool
    parent_oid: int | None
    """The partitioned or inherited table it belongs to (the first, of several)."""
    row_security: bool
    comment: str | None


@dataclass(frozen=True, slots=True)
class NamedTable:
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Column:
    relation_oid: int
    number: int
    name: str
    type: str
    """As format_type writes it: character varying(36), timestamp(3) without time zone ..."""
    not_null: bool
    default_expression: str | None
    """The default's or the generated column's expression."""
    default_unread: bool
    """There is one, but an ACCESS EXCLUSIVE lock on the table kept it from being read."""
    identity: str
    """'' none, a always, d by default."""
    generated: str
    """'' none, s stored, v virtual (18 and later)."""
    collation: str | None
    """Only when it is not the type's own."""
    comment: str | None


@dataclass(frozen=True, slots=True)
class Index:
    oid: int
    table_oid: int
    schema: str
    table: str
    name: str
    method: str
    is_unique: bool
    is_primary: bool
    is_exclusion: bool
    is_valid: bool
    is_ready: bool
    is_replica_identity: bool
    nulls_not_distinct: bool
    key_count: int
    """How many of `elements` are keys; the others are INCLUDEd."""
    elements: Sequence[str | None]
    """Column names in order; None for an expression."""
    operator_classes: Sequence[int]
    collations: Sequence[int]
    options: Sequence[int]
    """indoption of each key: bit 1 descending, bit 2 nulls first."""
    has_expressions: bool
    expressions: str | None
    is_partial: bool
    predicate: str | None
    locked: bool
    """The table is under an ACCESS EXCLUSIVE lock: expressions and predicate were not read."""
    is_partitioned: bool
    """An index of a partitioned table; it has no storage of its own."""
    parent_oid: int | None
    constraint_name: str | None
    """The primary key, unique or exclusion constraint it stands for."""
    estimated_rows: int
    estimated_bytes: int

    @property
    def keys(self) -> tuple[str | None, ...]:
        return tuple(self.elements[: self.key_count])

    @property
    def included(self) -> tuple[str | None, ...]:
        return tuple(self.elements[self.key_count :])


@dataclass(frozen=True, slots=True)
class Constraint:
    """A primary key, unique, check or exclusion constraint, or a foreign key (target_* set)."""

    oid: int
    table_oid: int
    schema: str
    table: str
    name: str
    type: str
    """p primary key, u unique, c check, x exclusion, f foreign key."""
    columns: Sequence[str]
    expression: str | None
    is_validated: bool
    is_enforced: bool
    is_deferrable: bool
    is_deferred: bool
    is_inherited: bool
    """It belongs to a partition because the partitioned table has it."""
    index_oid: int | None
    """The index it stands on; for a foreign key the target's."""
    target_oid: int | None
    target_schema: str | None
    target_table: str | None
    target_columns: Sequence[str]
    on_update: str
    """a no action, r restrict, c cascade, n set null, d set default; else a space."""
    on_delete: str
    match_type: str
    trigger_states: str | None
    """Distinct pg_trigger.tgenabled of a foreign key's triggers: O enabled, D disabled, R, A."""
    locked: bool


@dataclass(frozen=True, slots=True)
class RelationSize:
    oid: int
    bytes: int
    """A table's heap, TOAST and maps; an index's own."""
    index_bytes: int


@dataclass(frozen=True, slots=True)
class TableActivity:
    oid: int
    sequential_scans: int
    index_scans: int
    live_rows: int
    dead_rows: int
    modified_since_analyze: int
    last_vacuum: datetime | None
    last_analyze: datetime | None


@dataclass(frozen=True, slots=True)
class IndexActivity:
    oid: int
    scans: int
    entries_read: int
    rows_fetched: int
    last_scan: datetime | None
    """16 and later, once scanned."""


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    oid: int
    definition: str


@dataclass(frozen=True, slots=True)
class StatisticsSince:
    reset_at: datetime | None
    """15 and later have none until someone resets the database's statistics."""
    started_at: datetime
    shared_reset_at: datetime | None
    """When the cluster's own statistics began: its creation, a reset, or recovery from a crash."""

    @property
    def since(self) -> datetime:
        """Since when use is certainly counted; it may be for longer."""
        return self.reset_at or self.shared_reset_at or self.started_at


RELATIONS = Query("relations", Relation)
TABLES_NAMED = Query("tables_named", NamedTable)
COLUMNS = Query("columns", Column)
INDEXES = Query("indexes", Index)
CONSTRAINTS = Query("constraints", Constraint)
RELATION_SIZES = Query("relation_sizes", RelationSize)
TABLE_ACTIVITY = Query("table_activity", TableActivity)
INDEX_ACTIVITY = Query("index_activity", IndexActivity)
INDEX_DEFINITIONS = Query("index_definitions", IndexDefinition)
STATISTICS_SINCE = Query("statistics_since", StatisticsSince)


@dataclass(frozen=True)
class Catalog:
    """One reading of the catalogs. The mappings are by relation or table oid."""

    relations: tuple[Relation, ...]
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    constraints: tuple[Constraint, ...]

    @cached_property
    def relation_by_oid(self) -> dict[int, Relation]:
        return {relation.oid: relation for relation in self.relations}

    @cached_property
    def relation_names(self) -> frozenset[str]:
        """In any schema."""
        return frozenset(relation.name for relation in self.relations)

    @cached_property
    def index_by_oid(self) -> dict[int, Index]:
        return {index.oid: index for index in self.indexes}

    @cached_property
    def columns_of(self) -> dict[int, list[Column]]:
        return _grouped(self.columns, "relation_oid")

    @cached_property
    def indexes_of(self) -> dict[int, list[Index]]:
        return _grouped(self.indexes, "table_oid")

    @cached_property
    def constraints_of(self) -> dict[int, list[Constraint]]:
        return _grouped(self.constraints, "table_oid")

    @cached_property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """Foreign keys as declared: those that partitions inherit are left out."""
        return tuple(c for c in self.constraints if c.type == "f" and not c.is_inherited)


def _grouped(rows: Iterable[Any], attribute: str) -> dict[int, list[Any]]:
    grouped: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[getattr(row, attribute)].append(row)
    return grouped


async def read_catalog(
    connection: psycopg.AsyncConnection[Any], schemas: Sequence[str] | None = None
) -> Catalog:
    """Read the catalogs of the named schemas, or of all user schemas. Raises psycopg.Error."""
    parameters = {"schemas": list(schemas) if schemas is not None else None, "relation": None}
    return Catalog(
        relations=tuple(await fetch(connection, RELATIONS, parameters)),
        columns=tuple(await fetch(connection, COLUMNS, parameters)),
        indexes=tuple(await fetch(connection, INDEXES, parameters)),
        constraints=tuple(await fetch(connection, CONSTRAINTS, parameters)),
    )
