"""Count rows whose foreign key points nowhere: bounded, cancellable, and exact in what it means."""

from __future__ import annotations

import psycopg
from psycopg import sql

import queries
from console.errors import ActionRefused, PrivilegeMissing
from console.session import Connection
from queries.orphans import FOREIGN_KEY_JOIN, ForeignKeyColumns, orphan_count


async def count_orphans(connection: Connection, key: ForeignKeyColumns, limit: int = 1000) -> int:
    """How many rows of the key's table have no target, at most `limit` (then there may be more).

    It reads the table until `limit` orphans are found or it ends, so give the connection a
    statement_timeout that suits; cancelling the task cancels the statement. Raises
    PrivilegeMissing with the GRANTs, ActionRefused when the key is gone, psycopg.Error otherwise.
    """
    found = await queries.fetch(connection, FOREIGN_KEY_JOIN, {"oid": key.oid})
    if not found:
        raise ActionRefused(
            f"Foreign key {key.name} is no longer there.", "Refresh and look again."
        )
    join = found[0]
    if join.missing_grants:
        raise PrivilegeMissing(
            f"Counting orphans of {key.name} needs to read {_both(key)}.",
            " ".join(join.missing_grants),
        )
    if join.row_security:
        raise PrivilegeMissing(
            f"Row security would hide rows of {_both(key)} from this count.",
            "Ask as the tables' owner, or as a role with BYPASSRLS.",
        )
    return await _first_number(connection, orphan_count(key, join, limit))


def _both(key: ForeignKeyColumns) -> str:
    child = f"{key.schema}.{key.table}"
    target = f"{key.target_schema}.{key.target_table}"
    return child if child == target else f"{child} and {target}"


async def _first_number(connection: Connection, statement: sql.Composed) -> int:
    cursor = await connection.execute(statement)
    row = await cursor.fetchone()
    if row is None:
        raise psycopg.InternalError("count(*) gave no row")
    return int(row[0])
