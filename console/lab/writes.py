"""What indexes cost those who write: new versions of rows, written with them and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.lab.bench import Bench, Report, explained
from console.lab.spread import Change, Timed, change
from console.session import Connection
from queries.catalog import Catalog, Index, Relation
from queries.lab import rewrite_rows, scattered_rows

MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class WriteCost:
    """Time of a row's new version in a table, all its indexes told, in microseconds a row."""

    table: str
    rows: int
    """Written in each round, and rolled back."""
    without_us: float
    with_us: float
    change: Change
    """Less time; negative for what the indexes cost."""
    indexes_without: int
    indexes_with: int

    @property
    def more(self) -> float:
        """The share of time that the indexes add."""
        return -self.change.share


async def write_cost(
    bench: Bench, catalog: Catalog, table: Relation, added: int, rounds: int, report: Report
) -> WriteCost | None:
    """Rewrite some rows of a table with their own values in every round, on both copies by turns.

    Their pages are full, so that each new version goes to another page and needs an entry in every
    index, as an INSERT does. `added` indexes are on one copy alone. None for a table without rows,
    without a plain column, or of partitions. Raises psycopg.Error.
    """
    column = _column(catalog, table)
    if table.kind != "r" or column is None:
        return None
    places = await _places(bench.without, table)
    if places is None:
        return None
    rows = places.count(",") // 2 + 1
    query = rewrite_rows(table.schema, table.name, column, places)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        report(f"writing to {table.name}")
        sides = ((bench.without, 0), (bench.with_them, 1))
        for connection, side in sides if number % 2 == 0 else sides[::-1]:
            async with connection.transaction(force_rollback=True):
                document = await explained(connection, query)
            if number:  # the first is for warming up
                times[side].append(float(document["Execution Time"]) * 1000 / rows)
    timed = Timed(tuple(times[0]), tuple(times[1]))
    own = len(catalog.indexes_of.get(table.oid, []))
    return WriteCost(
        table.name, rows, timed.without_ms, timed.with_ms, change([timed]), own, own + added
    )


async def _places(connection: Connection, table: Relation) -> str | None:
    cursor = await connection.execute(scattered_rows(table.schema, table.name, MOST_ROWS))
    row = await cursor.fetchone()
    return str(row[0]) if row is not None and row[0] is not None else None


def _column(catalog: Catalog, table: Relation) -> str | None:
    """Any column that can be written."""
    for column in catalog.columns_of.get(table.oid, []):
        if not column.generated and column.identity != "a":
            return column.name
    return None


def newly_indexed(index: Index, others: Sequence[Index]) -> tuple[str, ...]:
    """Columns whose updates could leave all indexes alone (HOT) before this one, and cannot now."""
    known = {element for other in others if other.oid != index.oid for element in other.elements}
    return tuple(name for name in index.elements if name is not None and name not in known)
