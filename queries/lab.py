"""What the index lab asks of the copy it measures on, and the statements it runs there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from queries import Query


@dataclass(frozen=True, slots=True)
class ColumnSpread:
    table_oid: int
    column: str
    rows: float
    distinct_values: float
    """An estimate, without the null."""
    null_fraction: float


@dataclass(frozen=True, slots=True)
class HypotheticalIndex:
    oid: int
    name: str
    bytes: int
    """As hypopg estimates it."""


COLUMN_SPREAD = Query("column_spread", ColumnSpread)
HYPOTHETICAL_INDEX = Query("hypothetical_index", HypotheticalIndex)

SEARCHED_SCHEMAS = "SELECT pg_catalog.current_schemas(false)"
"""Where this session looks for bare names."""


def hypopg_in(schema: str) -> dict[str, sql.Identifier]:
    """`relations` for HYPOTHETICAL_INDEX."""
    return {
        "create": sql.Identifier(schema, "hypopg_create_index"),
        "size": sql.Identifier(schema, "hypopg_relation_size"),
    }


def forget_hypothetical(schema: str) -> sql.Composed:
    return sql.SQL("SELECT FROM {}()").format(sql.Identifier(schema, "hypopg_reset"))


def drop_index(schema: str, name: str) -> sql.Composed:
    return sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, name))


def some_rows(values: str, count: int) -> sql.Composed:
    """Some rows of a query, scattered, and the same ones each time it is asked of the same data.

    A bound value of NULL would be no value: rows with one are left out. `values` is SQL of the
    operator's own profile.
    """
    return sql.SQL(
        "SELECT v.* FROM ({}) AS v WHERE v IS NOT NULL ORDER BY pg_catalog.md5(v::text) LIMIT {}"
    ).format(sql.SQL(values), sql.Literal(count))


def column_values(schema: str, table: str, columns: Sequence[str], count: int) -> sql.Composed:
    """Values of some scattered rows, each as text; rows with a null among them are left out."""
    wanted = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(
        "SELECT {} FROM {} AS v WHERE ({}) IS NOT NULL ORDER BY pg_catalog.md5(v.ctid::text)"
        " LIMIT {}"
    ).format(wanted, sql.Identifier(schema, table), wanted, sql.Literal(count))


def column_bound(schema: str, table: str, column: str, share: float) -> sql.Composed:
    """The value that `share` of a column's values do not exceed, as text."""
    return sql.SQL("SELECT percentile_disc({}) WITHIN GROUP (ORDER BY v.{}) FROM {} AS v").format(
        sql.Literal(share), sql.Identifier(column), sql.Identifier(schema, table)
    )


def scattered_rows(schema: str, table: str, count: int) -> sql.Composed:
    """The places of some rows, as a tid[] in text; the same in a copy made file by file."""
    return sql.SQL(
        "SELECT pg_catalog.array_agg(r.ctid)::text FROM (SELECT v.ctid FROM {} AS v"
        " ORDER BY pg_catalog.md5(v.ctid::text) LIMIT {}) AS r"
    ).format(sql.Identifier(schema, table), sql.Literal(count))


def rewrite_rows(schema: str, table: str, column: str, places: str) -> sql.Composed:
    """Write new versions of rows, with the values they had; EXPLAIN says how long it takes."""
    return sql.SQL(
        "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)"
        " UPDATE {} AS v SET {} = v.{} WHERE v.ctid = ANY ({}::tid[])"
    ).format(
        sql.Identifier(schema, table),
        sql.Identifier(column),
        sql.Identifier(column),
        sql.Literal(places),
    )


def without_triggers(schema: str, table: str) -> sql.Composed:
    """Leave out the triggers of users: they may reach beyond the copy."""
    return sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.Identifier(schema, table))


def prepare(name: str, text: str) -> bytes:
    """The statement prepared under a name; through the extended protocol it can be only one."""
    return f"PREPARE {name} AS {text}".encode()


def measure(name: str, values: Sequence[str | None], *, run: bool) -> sql.Composed:
    """Run a prepared statement and time it as a whole, or only plan it."""
    given = sql.SQL("")
    if values:
        given = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, values)))  # type: ignore[assignment]
    # hypopg 1.3 takes even ANALYZE OFF for a run, in which it lends no indexes.
    options = "ANALYZE, TIMING OFF, BUFFERS OFF, SUMMARY ON, FORMAT JSON" if run else "FORMAT JSON"
    return sql.SQL("EXPLAIN ({}) EXECUTE {}{}").format(
        sql.SQL(options), sql.Identifier(name), given
    )
