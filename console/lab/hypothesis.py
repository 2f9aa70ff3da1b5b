"""Ask the planner about indexes that are not built, where hypopg can be had on the copy's server.

It saves building what no plan would use; what it promises is measured all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Error

import queries
from console import units
from console.lab.bench import Bench, Report, Subject, indexes_of
from console.lab.building import Tried
from console.lab.statements import Skipped
from console.session import Connection
from queries.backup import EXTENSION_STATE
from queries.database import create_extension
from queries.lab import HYPOTHETICAL_INDEX, forget_hypothetical, hypopg_in

_NAME = "hypopg"


async def worth_building(
    bench: Bench, tried: Sequence[Tried], subjects: Sequence[Subject], report: Report
) -> list[Tried]:
    """Those that some statement's plan would use; all of them where hypopg is not to be had."""
    schema = await _schema(bench.without)
    if schema is None:
        return list(tried)
    kept = []
    for number, one in enumerate(tried, 1):
        report(f"asking the planner about candidate {number} of {len(tried)}")
        size = await _size_if_used(bench, one, subjects, schema)
        if size is None:
            kept.append(one)
        else:
            reason = f"No plan would use it (hypopg, about {units.size(size)}): not built."
            bench.skipped.append(Skipped(one.name, reason))
    return kept


async def _schema(connection: Connection) -> str | None:
    """Where hypopg is, made where it can be."""
    state = await queries.fetch_one(connection, EXTENSION_STATE, {"name": _NAME})
    if state.schema is not None or not state.is_available:
        return state.schema
    try:
        await connection.execute(create_extension(_NAME, "public"))
    except Error:
        return None  # a role that may not create it builds all candidates
    return "public"


async def _size_if_used(
    bench: Bench, tried: Tried, subjects: Sequence[Subject], schema: str
) -> int | None:
    """Its estimated size when nobody would use it; None when it is worth building."""
    connection = bench.without
    try:
        index = await queries.fetch_one(
            connection,
            HYPOTHETICAL_INDEX,
            {"definition": tried.statement},
            relations=hypopg_in(schema),
        )
    except Error:
        return None  # hypopg knows few kinds of index; the server itself will judge
    # A statement without parameters keeps its plan, and hypopg's coming and going ends no plan.
    await connection.execute("DISCARD PLANS")
    try:
        for subject in subjects:
            plan = await bench.plan(connection, subject)
            if plan is not None and index.name in indexes_of(plan):
                return None
        return index.bytes
    finally:
        await connection.execute(forget_hypothetical(schema))
