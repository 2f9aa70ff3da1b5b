"""What one rule says of one node, and the measures that several rules share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from console.names import quoted
from console.plans.tree import Node, Plan

Indexes = Mapping[tuple[str, str], tuple[tuple[str, tuple[str, ...]], ...]]
"""By schema and table: each index with its columns, in order."""

SELECTIVE = 0.9
"""A filter that throws away this part of what was read."""
MANY_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Remark:
    node: int | None
    message: str
    evidence: str
    remedy: str
    weight: float
    """The part of the time it concerns, 0 to 1."""
    is_note: bool = False
    """Never more than information, however much time it concerns."""
    where: str = ""
    """What it is about when that is no node."""


def removed(node: Node, name: str = "Rows Removed by Filter") -> float:
    """Rows thrown away, over all loops; of one process where each did the same."""
    each = node.number_of(name)
    if not each:
        return 0.0
    return each * node.loops / (node.processes if node.is_per_process else 1)


def inclusive_share(plan: Plan, node: Node) -> float:
    """The part of the time that a node and all below it take; 0 when untimed."""
    total = plan.total_ms
    if not total or node.inclusive_ms is None:
        return 0.0
    return node.inclusive_ms / total


_COMPARISON = re.compile(
    r"\(*(?:(?P<alias>\w+|\"[^\"]+\")\.)?(?P<column>[a-z_]\w*|\"[^\"]+\")\)*(?:::[\w ]+)?\)*"
    r" (?P<operator>=|<=|>=|<|>|~~|IS NULL|IS NOT NULL)(?: |\)|$)"
)
_SPECIAL = frozenset({"and", "or", "not", "any", "all", "subplan", "initplan", "col1"})


@dataclass(frozen=True, slots=True)
class Condition:
    column: str
    is_equality: bool


def conditions(expression: str) -> list[Condition]:
    """Columns that a filter compares, as its text shows; those tested for equality first.

    A filter with OR is no use to one index, so it gives none.
    """
    if " OR " in expression:
        return []
    without = re.sub(r"'(?:[^']|'')*'", "''", expression)
    found: dict[str, bool] = {}
    for matched in _COMPARISON.finditer(without):
        column = matched["column"].strip('"')
        if column.lower() not in _SPECIAL:
            equal = matched["operator"] == "="
            found[column] = found.get(column, False) or equal
    ordered = sorted(found.items(), key=lambda item: not item[1])
    return [Condition(column, equal) for column, equal in ordered]


def suggested_index(node: Node) -> str:
    """CREATE INDEX for a node's filter: equalities first, then one range; '' when none is seen."""
    relation = node.properties.get("Relation Name")
    found = conditions(node.text_of("Filter"))
    if not isinstance(relation, str) or not found:
        return ""
    columns = [one.column for one in found if one.is_equality][:2]
    ranges = [one.column for one in found if not one.is_equality]
    columns += ranges[:1]
    return (
        f"CREATE INDEX CONCURRENTLY ON {relation_name(node)}"
        f" ({', '.join(quoted(column) for column in columns)});"
    )


def relation_name(node: Node) -> str:
    """The table as SQL names it."""
    schema = node.text_of("Schema")
    relation = quoted(node.text_of("Relation Name"))
    return f"{quoted(schema)}.{relation}" if schema else relation
