"""The database as a tree: schemas, in them objects by kind; what is in an object is read on demand.

One reading of ten thousand tables takes the server well under a second, as it opens none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from console import object_ddl
from console.errors import QueryFailed
from console.findings import Evidence, Finding, Severity
from console.relation_details import RelationDetails, read_relation
from console.session import Session
from queries.catalog import (
    RELATION_SIZES,
    RELATIONS,
    TABLE_ACTIVITY,
    Relation,
    RelationSize,
    TableActivity,
)
from queries.objects import (
    EXTENSIONS,
    NAMESPACES,
    ROUTINE_DEFINITIONS,
    ROUTINES,
    SCHEMA_TOTALS,
    TYPES,
    VACUUM_DUE,
    DataType,
    Extension,
    Namespace,
    Routine,
    SchemaTotals,
    VacuumDue,
)


class Kind(Enum):
    """What an object is, in the order of the tree; the value is its heading there."""

    TABLES = "Tables"
    FOREIGN_TABLES = "Foreign tables"
    VIEWS = "Views"
    MATERIALIZED_VIEWS = "Materialized views"
    SEQUENCES = "Sequences"
    ROUTINES = "Functions"
    TYPES = "Types"
    EXTENSIONS = "Extensions"


_KIND_OF_RELATION = {
    "r": Kind.TABLES,
    "p": Kind.TABLES,
    "f": Kind.FOREIGN_TABLES,
    "v": Kind.VIEWS,
    "m": Kind.MATERIALIZED_VIEWS,
    "S": Kind.SEQUENCES,
}

Thing = Relation | Routine | DataType | Extension


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the tree."""

    kind: Kind
    thing: Thing

    @property
    def oid(self) -> int:
        return self.thing.oid

    @property
    def key(self) -> str:
        """Stable from one reading to the next."""
        return f"{self.kind.name}:{self.thing.oid}"

    @property
    def schema(self) -> str:
        return self.thing.schema

    @property
    def title(self) -> str:
        """The name; a function's with its arguments, which are part of it."""
        if isinstance(self.thing, Routine):
            return f"{self.thing.name}({self.thing.arguments})"
        return self.thing.name

    @property
    def relation(self) -> Relation | None:
        return self.thing if isinstance(self.thing, Relation) else None


@dataclass(frozen=True)
class Inventory:
    """One reading of what there is."""

    namespaces: Sequence[Namespace]
    relations: Sequence[Relation]
    routines: Sequence[Routine]
    types: Sequence[DataType]
    extensions: Sequence[Extension]
    activity: Mapping[int, TableActivity]
    vacuum_due: Mapping[int, VacuumDue]
    totals: SchemaTotals

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every object, in the order of the tree, partitions too."""
        found = [Entry(_KIND_OF_RELATION[relation.kind], relation) for relation in self.relations]
        found += [Entry(Kind.ROUTINES, routine) for routine in self.routines]
        found += [Entry(Kind.TYPES, kind) for kind in self.types]
        found += [Entry(Kind.EXTENSIONS, extension) for extension in self.extensions]
        return tuple(found)

    @cached_property
    def entry_by_key(self) -> dict[str, Entry]:
        return {entry.key: entry for entry in self.entries}

    @cached_property
    def _by_place(self) -> dict[tuple[str, Kind], list[Entry]]:
        """Partitions are under their table, extensions beside the schemas."""
        placed: defaultdict[tuple[str, Kind], list[Entry]] = defaultdict(list)
        for entry in self.entries:
            relation = entry.relation
            if relation is None or not relation.is_partition:
                schema = "" if entry.kind is Kind.EXTENSIONS else entry.schema
                placed[schema, entry.kind].append(entry)
        return dict(placed)

    @cached_property
    def _by_parent(self) -> dict[int, list[Entry]]:
        children: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            relation = entry.relation
            if relation is not None and relation.is_partition and relation.parent_oid is not None:
                children[relation.parent_oid].append(entry)
        return dict(children)

    @cached_property
    def _folded(self) -> tuple[tuple[str, Entry], ...]:
        return tuple((f"{entry.schema}.{entry.title}".casefold(), entry) for entry in self.entries)

    def kinds_in(self, schema: str) -> list[tuple[Kind, int]]:
        """The kinds of object a schema has, with how many; the extensions are in schema ''."""
        return [
            (kind, len(self._by_place[schema, kind]))
            for kind in Kind
            if (schema, kind) in self._by_place
        ]

    def objects(self, schema: str, kind: Kind) -> Sequence[Entry]:
        """The objects of a kind in a schema, by name; partitions are left to their tables."""
        return self._by_place.get((schema, kind), ())

    def partitions(self, oid: int) -> Sequence[Entry]:
        """The direct partitions of a table."""
        return self._by_parent.get(oid, ())

    def matching(self, text: str, columns: Mapping[int, str] | None = None) -> list[Entry]:
        """Objects whose `schema.name`, or columns, contain every word of `text` in any case.

        `columns` gives what is known of columns: a relation's oid to its columns' names, casefolded
        and joined.
        """
        words = text.casefold().split()
        known = columns or {}
        return [
            entry
            for name, entry in self._folded
            if all(
                word in name or (known and entry.relation and word in known.get(entry.oid, ""))
                for word in words
            )
        ]

    def count(self, kind: Kind) -> int:
        return sum(1 for entry in self.entries if entry.kind is kind)

    def rows(self, relation: Relation) -> int | None:
        """About how many rows: the planner's estimate, else what was counted; None when unknown."""
        if relation.estimated_rows > 0:
            return relation.estimated_rows
        activity = self.activity.get(relation.oid)
        if activity is not None and (activity.live_rows > 0 or relation.estimated_rows == 0):
            return activity.live_rows
        return None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What looks wrong in these figures."""
        return tuple(_never_analyzed(self)) + tuple(_vacuum_due(self))


def _never_analyzed(inventory: Inventory) -> Iterable[Finding]:
    """13 does not tell an empty table from one never analyzed, so rows must have been counted."""
    found = [
        relation
        for relation in inventory.relations
        if relation.kind in "rm"
        and relation.estimated_rows <= 0
        and (activity := inventory.activity.get(relation.oid)) is not None
        and activity.live_rows > 0
        and activity.last_analyze is None
    ]
    if found:
        yield Finding(
            "schema.never-analyzed",
            Severity.WARNING,
            _some(found),
            f"Never analyzed, the planner guesses: {_some(found)}.",
            Evidence(
                "pg_stat_user_tables: n_live_tup > 0, no last_analyze or last_autoanalyze",
                _some(found),
                inventory.totals.read_at,
            ),
            "ANALYZE",
        )


def _vacuum_due(inventory: Inventory) -> Iterable[Finding]:
    found = [relation for relation in inventory.relations if relation.oid in inventory.vacuum_due]
    if found:
        dead = sum(inventory.vacuum_due[relation.oid].dead_rows for relation in found)
        yield Finding(
            "schema.vacuum-due",
            Severity.WARNING,
            _some(found),
            f"Vacuum is due, {dead} dead rows: {_some(found)}.",
            Evidence(
                "pg_stat_user_tables.n_dead_tup > threshold + scale factor * reltuples",
                _some(found),
                inventory.totals.read_at,
            ),
            "VACUUM (ANALYZE)",
        )


def _some(found: Sequence[Relation], limit: int = 3) -> str:
    names = [f"{relation.schema}.{relation.name}" for relation in found[:limit]]
    more = len(found) - limit
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


async def read_inventory(session: Session) -> Inventory:
    """Read what there is, without opening any of it. Raises ConsoleError."""
    everything = {"schemas": None, "relation": None}
    return Inventory(
        namespaces=await session.fetch(NAMESPACES),
        relations=await session.fetch(RELATIONS, everything),
        routines=await session.fetch(ROUTINES),
        types=await session.fetch(TYPES),
        extensions=await session.fetch(EXTENSIONS),
        activity={row.oid: row for row in await session.fetch(TABLE_ACTIVITY)},
        vacuum_due={row.oid: row for row in await session.fetch(VACUUM_DUE)},
        totals=await session.fetch_one(SCHEMA_TOTALS),
    )


async def read_sizes(session: Session, oids: Sequence[int]) -> dict[int, RelationSize]:
    """Exact sizes of some relations; those locked by somebody are left out. Raises ConsoleError."""
    return {size.oid: size for size in await session.fetch(RELATION_SIZES, {"oids": list(oids)})}


@dataclass(frozen=True)
class EntryDetails:
    """An object with the statement that makes it; a relation with all that hangs on it."""

    entry: Entry
    ddl: str
    relation: RelationDetails | None = None


async def read_entry(session: Session, entry: Entry) -> EntryDetails:
    """Read one object. Raises ConsoleError; QueryFailed when it is gone."""
    thing = entry.thing
    if isinstance(thing, Relation):
        details = await read_relation(session, thing)
        return EntryDetails(entry, object_ddl.relation_ddl(details), details)
    if isinstance(thing, DataType):
        return EntryDetails(entry, object_ddl.type_ddl(thing))
    if isinstance(thing, Extension):
        return EntryDetails(entry, object_ddl.extension_ddl(thing))
    found = await session.fetch(ROUTINE_DEFINITIONS, {"oids": [thing.oid]})
    if not found:
        raise QueryFailed(
            f"{entry.schema}.{entry.title} no longer exists.", "Read the schema again with r."
        )
    return EntryDetails(entry, found[0].definition or object_ddl.READS_LOCKED)
