"""Indexes that statements would like to have: equality columns first, then one to range or sort by.

The ladder is that of other advisors, without their cost models: what a candidate is worth, the lab
measures. Sources: pghero's suggested_indexes (no candidate where it would leave more than 30 % of
the rows, none on small tables), dexter (what is the beginning of an index is there already).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from console.lab.reading import Access, Reading
from console.names import listed, qualified
from queries.catalog import Catalog, Index, Relation
from queries.lab import ColumnSpread

FEWEST_ROWS = 500
"""A smaller table is read as quickly without an index."""

MOST_EQUAL = 3
MOST_LEFT = 0.3
"""Where an equality leaves more of the rows, an index on it alone does not help."""

MOST_CANDIDATES = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index to try."""

    statement: str
    """CREATE INDEX ..."""
    reason: str
    """Which statements would like it, and for what."""


@dataclass(frozen=True, slots=True)
class _Wish:
    table: int
    equal: tuple[str, ...]
    last: str = ""
    """The column to range or sort by; '' for none."""
    purpose: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.equal, self.last) if self.last else self.equal


class Spreads:
    """What ANALYZE found of each column; nothing is known of a table that was never analyzed."""

    def __init__(self, spreads: Iterable[ColumnSpread]) -> None:
        self._known = {(spread.table_oid, spread.column): spread for spread in spreads}

    def distinct(self, table: int, column: str) -> float:
        spread = self._known.get((table, column))
        return max(spread.distinct_values, 1.0) if spread is not None else 1.0

    def rows(self, table: int) -> float:
        return max((s.rows for (oid, _), s in self._known.items() if oid == table), default=0.0)

    def nulls(self, table: int, column: str) -> float:
        """The share of the rows in which the column is null; 1 where nothing is known."""
        spread = self._known.get((table, column))
        return spread.null_fraction if spread is not None else 1.0

    def left(self, table: int, columns: Iterable[str]) -> float:
        """The share of rows that equality on all the columns leaves, if they are independent."""
        share = 1.0
        for column in columns:
            spread = self._known.get((table, column))
            present = 1.0 - spread.null_fraction if spread is not None else 1.0
            share *= present / self.distinct(table, column)
        return share


def derive(
    readings: Sequence[tuple[str, Reading]], catalog: Catalog, spreads: Spreads
) -> tuple[Candidate, ...]:
    """Candidates for statements, given as name and reading and in the order of their weight.

    What an index of the catalog answers already is left out.
    """
    wanted: dict[tuple[int, tuple[str, ...]], tuple[_Wish, list[str]]] = {}
    for name, reading in readings:
        for wish in _wishes(reading, spreads):
            if not _is_covered(wish, catalog.indexes_of.get(wish.table, [])):
                known = wanted.setdefault((wish.table, wish.columns), (wish, []))
                if name not in known[1]:
                    known[1].append(name)
    found = [
        Candidate(_statement(catalog.relation_by_oid[wish.table], wish), _reason(wish, names))
        for wish, names in wanted.values()
    ]
    return tuple(found[:MOST_CANDIDATES])


def _wishes(reading: Reading, spreads: Spreads) -> Iterator[_Wish]:
    for access in reading.accesses:
        if spreads.rows(access.table) >= FEWEST_ROWS:
            yield from _of_filter(access, spreads)
            for column in access.joined:
                if spreads.left(access.table, [column]) <= MOST_LEFT:
                    yield _Wish(access.table, (column,), purpose="join")


def _of_filter(access: Access, spreads: Spreads) -> Iterator[_Wish]:
    table = access.table
    rare = [column for column in access.null if spreads.nulls(table, column) <= MOST_LEFT]
    equal = sorted(
        dict.fromkeys([*access.equal, *rare]), key=lambda column: -spreads.distinct(table, column)
    )
    chosen = tuple(equal[:MOST_EQUAL])
    ranged = [column for column in access.ranged if column not in chosen]
    ordered = [column for column in access.ordered if column not in chosen]
    if chosen and (spreads.left(table, chosen) <= MOST_LEFT or ranged or ordered):
        for column in ranged:
            yield _Wish(table, chosen, column, "equality, then range")
        if ordered:
            yield _Wish(table, chosen, ordered[0], "equality, then order")
        if not ranged and not ordered:
            yield _Wish(table, chosen, purpose="equality")
    elif not chosen:
        for column in ranged:
            yield _Wish(table, (), column, "range")
        if ordered and access.is_limited and not ranged:
            yield _Wish(table, (), ordered[0], "order")


def _is_covered(wish: _Wish, indexes: Iterable[Index]) -> bool:
    return any(_covers(index, wish) for index in indexes)


def _covers(index: Index, wish: _Wish) -> bool:
    """Whether an index begins with what is wished for, or finds one row at most."""
    if index.method != "btree" or not index.is_valid or index.is_partial:
        return False
    keys, equal = index.keys, set(wish.equal)
    if index.is_unique and equal and set(keys) <= equal:
        return True
    if set(keys[: len(equal)]) != equal:
        return False
    return not wish.last or (len(keys) > len(equal) and keys[len(equal)] == wish.last)


def _statement(table: Relation, wish: _Wish) -> str:
    return f"CREATE INDEX ON {qualified(table.schema, table.name)} ({listed(wish.columns)})"


def _reason(wish: _Wish, names: Sequence[str]) -> str:
    return f"{wish.purpose}: {'; '.join(names)}"
