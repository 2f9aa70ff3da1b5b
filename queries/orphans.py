"""How a foreign key compares its columns, and the statement that counts rows without a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from psycopg import sql

from queries import Query


@dataclass(frozen=True, slots=True)
class ForeignKeyJoin:
    """How PostgreSQL compares the columns of a foreign key; sequences are in key order."""

    is_partitioned: bool
    target_is_partitioned: bool
    has_period: bool
    """The last column pair is a PERIOD (18 and later)."""
    operators: Sequence[str]
    """target OPERATOR(schema.name) column."""
    operator_schemas: Sequence[str]
    collations: Sequence[str | None]
    """The target's collation where the two columns' differ."""
    collation_schemas: Sequence[str | None]
    row_security: bool
    """Row security would hide rows of either table from the asking role."""
    missing_grants: Sequence[str]
    """GRANT statements that the asking role needs before it may count."""


@dataclass(frozen=True, slots=True)
class ForeignKeyCollations:
    oid: int
    collations: Sequence[int]
    """Of its columns, in key order; 0 where a type has none."""


FOREIGN_KEY_JOIN = Query("foreign_key_join", ForeignKeyJoin)
FOREIGN_KEY_COLLATIONS = Query("foreign_key_collations", ForeignKeyCollations)


class ForeignKeyColumns(Protocol):
    """What is needed of a foreign key; queries.catalog.Constraint has it."""

    @property
    def oid(self) -> int: ...
    @property
    def schema(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def target_schema(self) -> str | None: ...
    @property
    def target_table(self) -> str | None: ...
    @property
    def target_columns(self) -> Sequence[str]: ...
    @property
    def match_type(self) -> str: ...


def orphan_count(key: ForeignKeyColumns, join: ForeignKeyJoin, limit: int) -> sql.Composed:
    """The statement that counts at most `limit` orphans; one row, one bigint.

    The conditions are those of PostgreSQL's own validation (RI_Initial_Check in ri_triggers.c):
    MATCH SIMPLE leaves out rows with any null in the key, MATCH FULL only those where all are null.
    Partitioned tables are read whole, others without what inherits from them. Execute it without
    parameters: a percent sign in a name stands for itself.
    """
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {child} AS child WHERE ({present}) AND NOT {found}"
        " LIMIT {limit}) AS orphans"
    )
    return statement.format(
        child=_table(key.schema, key.table, whole=join.is_partitioned),
        present=_present(key),
        found=_covered(key, join) if join.has_period else _exists(key, join),
        limit=sql.Literal(limit),
    )


def _table(schema: str, table: str, *, whole: bool) -> sql.Composed:
    return sql.SQL("{}{}").format(sql.SQL("" if whole else "ONLY "), sql.Identifier(schema, table))


def _present(key: ForeignKeyColumns) -> sql.Composed:
    together = " OR " if key.match_type == "f" else " AND "
    return sql.SQL(together).join(
        sql.SQL("{} IS NOT NULL").format(sql.Identifier("child", column)) for column in key.columns
    )


def _exists(key: ForeignKeyColumns, join: ForeignKeyJoin) -> sql.Composed:
    return sql.SQL("EXISTS (SELECT FROM {target} AS target WHERE {equal})").format(
        target=_target(key, join), equal=sql.SQL(" AND ").join(_comparisons(key, join))
    )


def _covered(key: ForeignKeyColumns, join: ForeignKeyJoin) -> sql.Composed:
    """A PERIOD must lie within the union of the target's periods."""
    return sql.SQL(
        "coalesce({period} <@ (SELECT range_agg({target_period}) FROM {target} AS target"
        " WHERE {equal}), false)"
    ).format(
        period=sql.Identifier("child", key.columns[-1]),
        target_period=sql.Identifier("target", key.target_columns[-1]),
        target=_target(key, join),
        equal=sql.SQL(" AND ").join(_comparisons(key, join)[:-1]),
    )


def _target(key: ForeignKeyColumns, join: ForeignKeyJoin) -> sql.Composed:
    return _table(key.target_schema or "", key.target_table or "", whole=join.target_is_partitioned)


def _comparisons(key: ForeignKeyColumns, join: ForeignKeyJoin) -> list[sql.Composed]:
    """Operators and collations are named in full: search_path must not choose others."""
    pairs = zip(
        key.columns,
        key.target_columns,
        join.operator_schemas,
        join.operators,
        join.collation_schemas,
        join.collations,
        strict=True,
    )
    return [
        sql.SQL("{target} OPERATOR({schema}.{operator}) {column}{collate}").format(
            target=sql.Identifier("target", target),
            schema=sql.Identifier(operator_schema),
            operator=sql.SQL(operator),
            column=sql.Identifier("child", column),
            collate=_collate(collation_schema, collation),
        )
        for column, target, operator_schema, operator, collation_schema, collation in pairs
    ]


def _collate(schema: str | None, name: str | None) -> sql.Composable:
    if schema is None or name is None:
        return sql.SQL("")
    return sql.SQL(" COLLATE {}").format(sql.Identifier(schema, name))
