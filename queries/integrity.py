"""Statements that read what is stored and compare it with what the catalogs promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql


@dataclass(frozen=True, slots=True)
class HeapDamage:
    """A row of amcheck's verify_heapam."""

    block: int | None
    item: int | None
    message: str


def violation_count(schema: str, table: str, expression: str, limit: int) -> sql.Composed:
    """Count at most `limit` rows that a CHECK constraint's expression is false for.

    `expression` is what pg_get_expr gave while only pg_catalog was searched, so every other name
    in it is qualified. Execute it without parameters: a percent sign stands for itself.
    """
    return sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {table} WHERE NOT ({expression}) LIMIT {limit}) AS bad"
    ).format(
        table=sql.Identifier(schema, table),
        expression=sql.SQL(expression),
        limit=sql.Literal(limit),
    )


def duplicate_count(
    schema: str,
    table: str,
    columns: Sequence[str],
    predicate: str | None,
    limit: int,
    *,
    nulls_differ: bool,
) -> sql.Composed:
    """Count at most `limit` keys that several rows share, of those that a unique index covers."""
    keys = [sql.Identifier(column) for column in columns]
    conditions = [sql.SQL("{} IS NOT NULL").format(key) for key in keys] if nulls_differ else []
    if predicate is not None:
        conditions.append(sql.Composed([sql.SQL("("), sql.SQL(predicate), sql.SQL(")")]))
    return sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {table} WHERE {where} GROUP BY {keys}"
        " HAVING count(*) > 1 LIMIT {limit}) AS twice"
    ).format(
        table=sql.Identifier(schema, table),
        where=sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
        keys=sql.SQL(", ").join(keys),
        limit=sql.Literal(limit),
    )


def check_index(amcheck_schema: str, oid: int) -> sql.Composed:
    """Have amcheck read a B-tree and see that every row of its table is in it; no row comes back.

    Damage raises an error of class XX. `amcheck_schema` is quoted already.
    """
    return sql.SQL("SELECT FROM {}.bt_index_check({}::oid::regclass, true)").format(
        sql.SQL(amcheck_schema),
        sql.Literal(oid),
    )


def heap_damage(amcheck_schema: str, oid: int, limit: int) -> sql.Composed:
    """At most `limit` places in a table that amcheck finds wrong (14 and later)."""
    return sql.SQL(
        "SELECT h.blkno AS block, h.offnum::int AS item, h.msg AS message"
        " FROM {}.verify_heapam({}::oid::regclass, check_toast := true) AS h LIMIT {}"
    ).format(
        sql.SQL(amcheck_schema),
        sql.Literal(oid),
        sql.Literal(limit),
    )
