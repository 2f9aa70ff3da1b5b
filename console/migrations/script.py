"""Differences as one script: what depends on a change goes first and comes back last.

New enum values are committed before the rest, which is one transaction: PostgreSQL lets nobody use
a value in the transaction that adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from console.migrations.compare import Difference, Key, Snapshot, along_with
from console.migrations.statements import ByHand, change, create, drop, labels, owned_by
from console.names import quoted
from console.table_ddl import literal
from queries.parts import Part

_CODE = ("function", "procedure", "aggregate")
_VIEWS = ("view", "materialized view")
_ON_TOP = ("trigger", "policy", "rule", *_VIEWS, "index", "statistics", "constraint")
"""Dropped before anything else, and made after everything else."""
_RANK = {
    kind: rank
    for rank, kind in enumerate(
        ("schema", "extension", "enum", "domain", "composite type", "range type", "sequence",
         *_CODE, "table", "foreign table", "column", "constraint", "index", "statistics",
         *_VIEWS, "rule", "policy", "trigger")
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Script:
    """SQL that makes one schema the other. `first` is committed statement by statement."""

    first: tuple[str, ...]
    statements: tuple[str, ...]
    by_hand: tuple[str, ...] = ()
    """What no SQL could be drafted for."""

    @property
    def text(self) -> str:
        """The script as psql would run it."""
        lines = [f"-- By hand: {' '.join(reason.split())}\n" for reason in self.by_hand]
        lines += [f"{statement};\n" for statement in self.first]
        if self.statements:
            body = "".join(f"{statement};\n" for statement in self.statements)
            lines.append(f"BEGIN;\n{body}COMMIT;\n" if len(self.statements) > 1 else body)
        return "".join(lines)


def closing(differences: Iterable[Difference], source: Snapshot, target: Snapshot) -> Script:
    """The SQL that, run where `source` was read, ends these differences in `target`'s favour.

    The differences are of compare(source, target); leaving some out leaves them as they are.
    """
    return _Writer(tuple(differences), source, target).write()


@dataclass(slots=True)
class _Writer:
    differences: tuple[Difference, ...]
    source: Snapshot
    target: Snapshot
    first: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    changes: list[tuple[Key, list[str]]] = field(default_factory=list)
    dropped: dict[Key, Part] = field(default_factory=dict)
    created: dict[Key, Part] = field(default_factory=dict)
    disturbed: set[Key] = field(default_factory=set)
    away: dict[Key, Part] = field(default_factory=dict)
    """Unchanged itself, but in the way: dropped and made again."""

    def write(self) -> Script:
        for one in self.differences:
            try:
                self._sort(one)
            except ByHand as reason:
                self.by_hand.append(reason.message)
        self._clear_the_way()
        statements = [
            *self._drops(on_top=True),
            *self._creations(on_top=False),
            *(statement for _key, found in self._ordered_changes() for statement in found),
            *self._drops(on_top=False),
            *self._creations(on_top=True),
        ]
        if any(part.kind in _CODE for part in (*self.created.values(), *self.away.values())) or any(
            one.kind in _CODE for one in self.differences
        ):
            statements.insert(0, "SET LOCAL check_function_bodies = off")
        return Script(tuple(self.first), tuple(statements), tuple(self.by_hand))

    def _sort(self, one: Difference) -> None:
        if one.before is None:
            assert one.after is not None
            self._create(one.after)
        elif one.after is None:
            self._drop(one.before)
        elif one.kind == "enum" and one.changes[0].facet == "labels":
            self._enum(one.before, one.after)
        else:
            statements = change(one.before, one.after, one.changes)
            if statements:
                self.changes.append((one.key, statements))
            else:
                self._drop(one.before)
                self._create(one.after)
            if one.kind == "column" and {"type", "collation", "generated"} & {
                change.facet for change in one.changes
            }:
                self.disturbed.add(one.key)

    def _drop(self, part: Part) -> None:
        self.dropped[part.key] = part
        self.disturbed.add(part.key)
        self.disturbed.update(other.key for other in along_with(part, self.source))

    def _create(self, part: Part) -> None:
        create(part, [one for one in self._along(part) if one.kind == "column"])
        self.created[part.key] = part
        for other in self._along(part):
            if other.kind != "column":
                self.created[other.key] = other

    def _along(self, part: Part) -> list[Part]:
        return along_with(part, self.target)

    def _enum(self, before: Part, after: Part) -> None:
        old, new = labels(before), labels(after)
        if [label for label in new if label in old] == old:
            self.first += _added(after, old, new)
            return
        users = [key for key in self.source.dependents.get(before.key, ()) if key[0] == "column"]
        self.disturbed.update((before.key, *users))
        columns = [self.source.parts[key] for key in sorted(users)]
        self.changes.append((before.key, list(_made_anew(before, after, columns))))

    def _clear_the_way(self) -> None:
        """Everything that stands on what changes, and what stands on that."""
        waiting = list(self.disturbed)
        while waiting:
            for key in self.source.dependents.get(waiting.pop(), ()):
                part = self.source.parts[key]
                if key in self.disturbed or not _can_be_made_again(part):
                    continue
                self.disturbed.add(key)
                waiting.append(key)
                if key not in self.dropped and not self._goes_with_its_table(part):
                    self._put_away(part)

    def _goes_with_its_table(self, part: Part) -> bool:
        return any(("table", part.table) == key for key in self.dropped)

    def _put_away(self, part: Part) -> None:
        """A part that has a change of its own comes back as the target has it."""
        for other in (part, *along_with(part, self.source)):
            if other.kind != "column" and other.key not in self.dropped:
                own = any(one.key == other.key for one in self.differences)
                again = self.target.parts.get(other.key) if own else other
                self.changes = [found for found in self.changes if found[0] != other.key]
                self.away[other.key] = other
                if again is not None:
                    self.created.setdefault(other.key, again)

    def _ordered_changes(self) -> list[tuple[Key, list[str]]]:
        return sorted(self.changes, key=lambda found: _RANK[found[0][0]])

    def _drops(self, *, on_top: bool) -> list[str]:
        parts = {
            key: part
            for key, part in (self.dropped | self.away).items()
            if (self._is_on_top(part, self.source) or key in self.away or key in self.created)
            is on_top
        }
        ordered = _sorted(parts, self.source.needs, self._owner(self.dropped, self.source))
        ordered.reverse()
        tables = [part for part in ordered if part.kind == "table"]
        found = []
        for part in ordered:
            if part.kind != "table":
                if part.table is None or not self._hangs_on_what_goes(part, parts):
                    found += drop(part)
            elif part is tables[0]:
                # Together, as their foreign keys may go round in a circle.
                found.append(f"DROP TABLE {', '.join(one.sql_name for one in tables)}")
        return found

    def _hangs_on_what_goes(self, part: Part, parts: Mapping[Key, Part]) -> bool:
        return any((kind, part.table) in parts for kind in ("table", *_VIEWS))

    def _creations(self, *, on_top: bool) -> list[str]:
        parts = {
            key: part
            for key, part in self.created.items()
            if self._is_on_top(part, self.target) is on_top
        }
        owner = self._owner(self.created, self.target)
        found, owned = [], []
        for part in _sorted(parts, self.target.needs, owner):
            columns = [one for one in self._along(part) if one.kind == "column"]
            found += create(part, columns)
            owned += owned_by(part)
        return found + owned

    def _is_on_top(self, part: Part, side: Snapshot) -> bool:
        if part.kind in _CODE:
            needs = side.needs.get(part.key, frozenset())
            return part.key in self.away or any(key[0] in _VIEWS for key in needs)
        return part.kind in _ON_TOP

    def _owner(self, parts: Mapping[Key, Part], side: Snapshot) -> Callable[[Key], Key]:
        """A new table's columns are made with it, so what they need it needs."""
        tables = {
            column.key: part.key
            for part in parts.values()
            for column in along_with(part, side)
            if column.kind == "column"
        }
        return lambda key: tables.get(key, key)


def _can_be_made_again(part: Part) -> bool:
    if part.kind == "constraint":
        return (part.facets.get("definition") or "").startswith("FOREIGN KEY")
    return part.kind in ("trigger", "policy", "rule", *_VIEWS, *_CODE)


def _sorted(
    parts: Mapping[Key, Part],
    needs: Mapping[Key, frozenset[Key]],
    owner: Callable[[Key], Key],
) -> list[Part]:
    """Needed parts before those that need them; else by kind and name. A circle is cut anywhere."""
    wanted: dict[Key, set[Key]] = {key: set() for key in parts}
    for key, needed in needs.items():
        if owner(key) in wanted:
            wanted[owner(key)] |= {owner(one) for one in needed} & wanted.keys() - {owner(key)}
    waiting = sorted(parts, key=lambda key: (_RANK[key[0]], _late(parts[key]), key[1]))
    done: list[Part] = []
    while waiting:
        ready = next((key for key in waiting if not wanted[key]), waiting[0])
        waiting.remove(ready)
        done.append(parts[ready])
        for others in wanted.values():
            others.discard(ready)
    return done


def _late(part: Part) -> tuple[bool, int]:
    """Foreign keys after the keys they refer to; columns in their order."""
    definition = part.facets.get("definition") or ""
    return definition.startswith("FOREIGN KEY"), part.sub_id


def _added(part: Part, old: list[str], new: list[str]) -> list[str]:
    """ALTER TYPE ... ADD VALUE, each beside a value that is there by then."""
    found = []
    for number, label in enumerate(new):
        if label in old:
            continue
        add = f"ALTER TYPE {part.sql_name} ADD VALUE {literal(label)}"
        if number:
            found.append(f"{add} AFTER {literal(new[number - 1])}")
        elif old:
            found.append(f"{add} BEFORE {literal(old[0])}")
        else:
            found.append(add)
    return found


def _made_anew(before: Part, after: Part, columns: Iterable[Part]) -> Iterable[str]:
    """An enum that loses values or changes their order: a new type takes the old one's place."""
    old = f"{before.name}_before"
    schema = before.sql_name.removesuffix(quoted(before.name))
    yield f"ALTER TYPE {before.sql_name} RENAME TO {quoted(old)}"
    yield from create(after)
    for column in columns:
        alter = f"ALTER TABLE {column.table} ALTER COLUMN {column.sql_name}"
        kind, default = column.facets["type"] or "", column.facets.get("default")
        array = "[]" if kind.endswith("[]") else ""
        if default is not None:
            yield f"{alter} DROP DEFAULT"
        wanted = f"{after.sql_name}{array}"
        yield f"{alter} TYPE {wanted} USING {column.sql_name}::text{array}::{wanted}"
        if default is not None:
            yield f"{alter} SET DEFAULT {default}"
    yield f"DROP TYPE {schema}{quoted(old)}"
