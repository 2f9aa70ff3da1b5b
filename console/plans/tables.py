"""The tables of a plan, and what the server knows of them."""

from __future__ import annotations

from collections.abc import Mapping

import queries
from console.names import qualified
from console.plans.remark import Indexes
from console.plans.tree import Node, Plan
from console.session import connect
from console.target import Target
from queries.plans import TABLE_INDEXES


def tables_of(plan: Plan) -> list[str]:
    """Schema-qualified and quoted names; only a VERBOSE plan has the schemas."""
    return _named(list(plan.nodes))


def written_tables(plan: Plan) -> list[str]:
    """Those that the plan writes to or locks rows of."""
    writing = [
        node for node in plan.nodes if node.kind == "ModifyTable" or "Operation" in node.properties
    ]
    return _named(writing)


def _named(nodes: list[Node]) -> list[str]:
    described: list[object] = []
    for node in nodes:
        targets = node.properties.get("Target Tables")
        described += [node.properties, *(targets if isinstance(targets, list) else [])]
    names = [
        qualified(str(one["Schema"]), str(one["Relation Name"]))
        for one in described
        if isinstance(one, Mapping) and one.get("Relation Name") and one.get("Schema")
    ]
    return list(dict.fromkeys(names))


async def read_indexes(target: Target, plan: Plan) -> Indexes:
    """The indexes of the plan's tables. Raises ConsoleError kinds."""
    tables = tables_of(plan)
    if not tables:
        return {}
    async with connect(target) as connection:
        rows = await queries.fetch(connection, TABLE_INDEXES, {"tables": tables})
    found: dict[tuple[str, str], tuple[tuple[str, tuple[str, ...]], ...]] = {}
    for row in rows:
        key = (row.schema, row.table)
        found[key] = (*found.get(key, ()), (row.name, tuple(row.columns)))
    return found
