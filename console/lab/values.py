"""Values for a statement's parameters, taken from the rows of the copy it is measured on."""

from __future__ import annotations

from collections.abc import Sequence

from console.lab.reading import How, Meaning, Reading
from console.lab.statements import Statement
from console.plans import words
from console.session import Connection
from queries.catalog import Catalog
from queries.lab import column_bound, column_values, some_rows

Values = tuple[tuple[str, ...], ...]
"""One run of the statement each."""

WITHIN_RANGE = 0.05
"""How many of the rows a range is made to hold, where nobody says which ranges are asked for."""


class NoValues(Exception):
    """Why there are none, as a sentence."""


async def values_for(
    connection: Connection, statement: Statement, reading: Reading, catalog: Catalog, count: int
) -> Values:
    """At most `count` sets of values, in the server's own text form. Raises NoValues."""
    needed = words.parameters(statement.sql)
    if not needed:
        return ((),)
    if statement.values:
        found = await _texts(connection, some_rows(statement.values, count))
    else:
        found = await _from_columns(connection, reading, catalog, needed, count)
    if not found:
        raise NoValues("The copy has no rows to take its values from.")
    if len(found[0]) != needed:
        raise NoValues(f"It has {needed} parameters, and its values are {len(found[0])}.")
    return found


async def _from_columns(
    connection: Connection, reading: Reading, catalog: Catalog, needed: int, count: int
) -> Values:
    """Values of the columns that the parameters are compared with, a row's own together."""
    for number in range(1, needed + 1):
        if number not in reading.meanings:
            raise NoValues(f"What ${number} stands for could not be found out.")
    columns = await _columns(connection, reading, catalog, count)
    runs = min((len(values) for values in columns.values()), default=count)
    return tuple(
        tuple(columns[number][run] for number in range(1, needed + 1)) for run in range(runs)
    )


async def _columns(
    connection: Connection, reading: Reading, catalog: Catalog, count: int
) -> dict[int, Sequence[str]]:
    found: dict[int, Sequence[str]] = {}
    by_table: dict[int, dict[int, Meaning]] = {}
    for number, meaning in reading.meanings.items():
        if meaning.rows is not None:
            found[number] = [str(meaning.rows)] * count
        elif meaning.table is not None and meaning.how in (How.ABOVE, How.BELOW):
            found[number] = [await _bound(connection, meaning, reading, catalog)] * count
        elif meaning.table is not None:
            by_table.setdefault(meaning.table, {})[number] = meaning
    for table, meanings in by_table.items():
        relation = catalog.relation_by_oid[table]
        wanted = [meaning.column for meaning in meanings.values()]
        rows = await _texts(
            connection, column_values(relation.schema, relation.name, wanted, count)
        )
        for position, (number, meaning) in enumerate(meanings.items()):
            texts = [row[position] for row in rows]
            found[number] = [_array(t) for t in texts] if meaning.how is How.ANY else texts
    return found


async def _bound(
    connection: Connection, meaning: Meaning, reading: Reading, catalog: Catalog
) -> str:
    """An end of a range that holds few of the rows; BETWEEN takes them from the middle."""
    assert meaning.table is not None
    both = {
        other.how
        for other in reading.meanings.values()
        if (other.table, other.column) == (meaning.table, meaning.column)
    }
    share = 1 - WITHIN_RANGE if meaning.how is How.ABOVE else WITHIN_RANGE
    if {How.ABOVE, How.BELOW} <= both:
        share = 0.5 if meaning.how is How.ABOVE else 0.5 + WITHIN_RANGE
    relation = catalog.relation_by_oid[meaning.table]
    query = column_bound(relation.schema, relation.name, meaning.column, share)
    rows = await _texts(connection, query)
    if not rows:
        raise NoValues(f"{relation.name}.{meaning.column} has no values.")
    return rows[0][0]


def _array(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{"{quoted}"}}'


async def _texts(connection: Connection, query: object) -> Values:
    """Rows as the server writes them; those with a null are left out."""
    cursor = await connection.execute(query)  # type: ignore[call-overload]
    result = cursor.pgresult
    assert result is not None
    rows = [
        [result.get_value(row, column) for column in range(result.nfields)]
        for row in range(result.ntuples)
    ]
    return tuple(
        tuple(value.decode() for value in row if value is not None)
        for row in rows
        if None not in row
    )
