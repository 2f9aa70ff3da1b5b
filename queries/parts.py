"""A database's schema as parts that can be compared by name with those of another database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from queries import Query, fetch


@dataclass(frozen=True, slots=True)
class Part:
    """A table, column, constraint, index, view, function, type ... and what it is made of."""

    kind: str
    schema: str
    table: str | None
    """The table it hangs on, qualified and quoted."""
    name: str
    sql_name: str
    """As statements name it: qualified where it has a schema of its own."""
    class_oid: int
    oid: int
    sub_id: int
    """A column's number."""
    facets: Mapping[str, str | None]
    """What is compared; None where it has none of it."""

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same part in another database."""
        if self.table is not None and self.kind in _NAMED_WITHIN_A_TABLE:
            return self.kind, f"{self.table}.{self.sql_name}"
        return self.kind, self.sql_name

    @property
    def address(self) -> tuple[int, int, int]:
        return self.class_oid, self.oid, self.sub_id


_NAMED_WITHIN_A_TABLE = frozenset({"column", "constraint", "trigger", "policy", "rule"})


@dataclass(frozen=True, slots=True)
class Dependency:
    class_oid: int
    oid: int
    sub_id: int
    needed_class_oid: int
    needed_oid: int
    needed_sub_id: int


PARTS_OF_TABLES = Query("parts_of_tables", Part)
PARTS_OF_CODE = Query("parts_of_code", Part)
PARTS_OF_TYPES = Query("parts_of_types", Part)
PART_DEPENDENCIES = Query("part_dependencies", Dependency)


async def read_parts(
    connection: psycopg.AsyncConnection[Any], schemas: Sequence[str] | None
) -> tuple[list[Part], list[Dependency]]:
    """The parts of the named schemas, or of all user schemas. Raises psycopg.Error."""
    named = {"schemas": list(schemas) if schemas is not None else None}
    parts: list[Part] = []
    for question in (PARTS_OF_TYPES, PARTS_OF_TABLES, PARTS_OF_CODE):
        parts += await fetch(connection, question, named)
    return parts, await fetch(connection, PART_DEPENDENCIES)


def create_stub_role(name: str) -> sql.Composed:
    """A role that can be granted things and can do nothing."""
    return sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name))


def forget_migrations(schema: str, names: Sequence[str]) -> sql.Composed:
    """Mark applied migrations as rolled back in Prisma's history, so that it applies them again."""
    return sql.SQL(
        "UPDATE {} SET rolled_back_at = now()"
        " WHERE rolled_back_at IS NULL AND migration_name = ANY (ARRAY[{}])"
    ).format(
        sql.Identifier(schema, "_prisma_migrations"),
        sql.SQL(", ").join(sql.Literal(name) for name in names),
    )


TRY_MIGRATION_LOCK = "SELECT pg_try_advisory_lock(72707369)"
"""The lock that Prisma's schema engine takes while it migrates."""


def count_values(table: str, column: str | None) -> sql.Composed:
    """How many rows a table has, or how many of them have a value in a column.

    Both are written as SQL names them (Part.sql_name), which quotes them where needed.
    """
    counted = sql.SQL("*") if column is None else sql.SQL(column)
    named = sql.SQL(table)
    return sql.SQL("SELECT count({}) FROM {}").format(counted, named)
