"""Two schemas compared part by part: what is only in one, and what is made of something else.

Not compared, as migrations do not decide it: owners and grants, the order of columns, tablespaces,
column storage and statistics targets, publications, event triggers. Prisma's own table of history
is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from console.capture import HISTORY_TABLE
from console.session import Connection, Limits, connect
from console.target import Target
from queries.parts import Dependency, Part, read_parts

Key = tuple[str, str]

READING = Limits(statement_ms=60_000, lock_ms=2_000, connect_s=15)
_TABLE_LIKE = frozenset({"table", "foreign table", "view", "materialized view"})


@dataclass(frozen=True)
class Snapshot:
    """One reading of a schema."""

    parts: Mapping[Key, Part]
    needs: Mapping[Key, frozenset[Key]]
    """What must be there before a part can be made."""
    major: int
    """The server's major version."""

    @cached_property
    def dependents(self) -> dict[Key, set[Key]]:
        found: defaultdict[Key, set[Key]] = defaultdict(set)
        for key, needed in self.needs.items():
            for other in needed:
                found[other].add(key)
        return dict(found)

    @cached_property
    def hanging_on(self) -> dict[str, list[Part]]:
        """Columns, constraints, indexes ... by the table's SQL name, columns in their order."""
        found: defaultdict[str, list[Part]] = defaultdict(list)
        for part in sorted(self.parts.values(), key=lambda part: part.sub_id):
            if part.table is not None:
                found[part.table].append(part)
        return dict(found)

    @property
    def schemas(self) -> set[str]:
        return {part.schema for part in self.parts.values() if part.schema}

    def within(self, schemas: Iterable[str]) -> Snapshot:
        """Only the parts of these schemas, and what has no schema."""
        kept = {"", *schemas}
        return self.having({k: part for k, part in self.parts.items() if part.schema in kept})

    def having(self, parts: Mapping[Key, Part]) -> Snapshot:
        """Only these parts, and what they need of each other."""
        needs = {key: needed & parts.keys() for key, needed in self.needs.items() if key in parts}
        return Snapshot(parts, needs, self.major)


async def read_snapshot(target: Target, schemas: Sequence[str] | None = None) -> Snapshot:
    """Read a database's schema on a read-only session. Raises ConsoleError."""
    async with connect(target, limits=READING) as connection:
        return await snapshot_of(connection, schemas)


async def snapshot_of(connection: Connection, schemas: Sequence[str] | None = None) -> Snapshot:
    """Read on a connection whose search path is the console's own. Raises psycopg.Error."""
    parts, dependencies = await read_parts(connection, schemas)
    kept = _without_history(parts)
    return Snapshot(
        {part.key: part for part in kept},
        _needs(kept, dependencies),
        connection.info.server_version // 10000,
    )


def _without_history(parts: Iterable[Part]) -> list[Part]:
    history = {
        part.sql_name for part in parts if part.kind == "table" and part.name == HISTORY_TABLE
    }
    return [p for p in parts if p.table not in history and p.sql_name not in history]


def _needs(parts: Iterable[Part], dependencies: Iterable[Dependency]) -> dict[Key, frozenset[Key]]:
    by_address = {part.address: part.key for part in parts}

    def key_of(class_oid: int, oid: int, sub_id: int) -> Key | None:
        whole = by_address.get((class_oid, oid, 0))
        return by_address.get((class_oid, oid, sub_id), whole)

    found: defaultdict[Key, set[Key]] = defaultdict(set)
    for row in dependencies:
        key = key_of(row.class_oid, row.oid, row.sub_id)
        needed = key_of(row.needed_class_oid, row.needed_oid, row.needed_sub_id)
        if key is not None and needed is not None and key != needed:
            found[key].add(needed)
    return {key: frozenset(needed) for key, needed in found.items()}


@dataclass(frozen=True, slots=True)
class Change:
    facet: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One part that differs: `before` is None where only the other side has it, and so on."""

    before: Part | None
    after: Part | None
    changes: tuple[Change, ...] = ()
    """Empty for a part that one side does not have."""

    @property
    def part(self) -> Part:
        part = self.after or self.before
        assert part is not None
        return part

    @property
    def key(self) -> Key:
        return self.part.key

    @property
    def kind(self) -> str:
        return self.part.kind

    @property
    def subject(self) -> str:
        return self.key[1]

    @property
    def reversed(self) -> Difference:
        turned = tuple(Change(c.facet, c.after, c.before) for c in self.changes)
        return Difference(self.after, self.before, turned)

    @property
    def seen_by_prisma(self) -> bool:
        """Whether Prisma's own diff looks at such a thing (its schema engine's describer)."""
        if self.kind in ("table", "column", "enum", "sequence"):
            return {change.facet for change in self.changes} != {"comment"}
        definition = self.part.facets.get("definition") or ""
        if self.kind == "constraint":
            return definition.startswith(("PRIMARY KEY", "UNIQUE", "FOREIGN KEY"))
        return self.kind == "index" and " WHERE " not in definition

    def words(self, before: str, after: str) -> str:
        """One sentence, with the names of the two sides, e.g. "the folder" and "this database"."""
        what = f"{self.kind} {self.subject}"
        if self.before is None:
            return f"The {what} is only in {after}."
        if self.after is None:
            return f"The {what} is only in {before}."
        parts = [
            f"{c.facet}: {_shown(c.before)} in {before}, {_shown(c.after)} in {after}"
            for c in self.changes
        ]
        return f"The {what} differs; " + "; ".join(parts) + "."


def _shown(text: str | None, longest: int = 160) -> str:
    if text is None:
        return "none"
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def compare(before: Snapshot, after: Snapshot) -> tuple[Difference, ...]:
    """Every difference, by kind and name; what hangs on a missing table is part of that table."""
    found = []
    for key in sorted({*before.parts, *after.parts}):
        one, other = before.parts.get(key), after.parts.get(key)
        if one is None or other is None:
            side, against = (before, after) if other is None else (after, before)
            part = one or other
            assert part is not None
            if not _comes_along(part, side, against):
                found.append(Difference(one, other))
        elif changes := _changes(one, other):
            found.append(Difference(one, other, changes))
    return tuple(found)


def _changes(one: Part, other: Part) -> tuple[Change, ...]:
    facets = sorted({*one.facets, *other.facets})
    return tuple(
        Change(facet, one.facets.get(facet), other.facets.get(facet))
        for facet in facets
        if facet != "columns" and one.facets.get(facet) != other.facets.get(facet)
    )


def _comes_along(part: Part, side: Snapshot, against: Snapshot) -> bool:
    """Whether the table, or the column of a sequence, is missing too."""
    if part.table is None:
        return False
    if not any((kind, part.table) in against.parts for kind in _TABLE_LIKE):
        return any((kind, part.table) in side.parts for kind in _TABLE_LIKE)
    column = part.facets.get("owner column")
    return column is not None and ("column", f"{part.table}.{column}") not in against.parts


def along_with(part: Part, side: Snapshot) -> list[Part]:
    """What comes and goes with a part: everything of a table, a column's sequence."""
    if part.kind in _TABLE_LIKE:
        return side.hanging_on.get(part.sql_name, [])
    if part.kind == "column":
        return [
            other
            for other in side.hanging_on.get(part.table or "", [])
            if other.facets.get("owner column") == part.sql_name
        ]
    return []
