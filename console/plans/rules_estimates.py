"""Rules about how many rows the planner expected."""

from __future__ import annotations

from collections.abc import Iterator

from console import units
from console.plans.details import times
from console.plans.remark import Indexes, Remark, conditions, inclusive_share, relation_name
from console.plans.tree import Node, Plan

FAR = 10.0
"""Off by this factor, either way, and it may have misled the planner."""
_LEAST_ROWS = 100
_BLOCKING = ("Sort", "Hash", "Aggregate", "Materialize", "SetOp", "WindowAgg", "Gather Merge")
_MISLED = ("Nested Loop", "Hash Join", "Merge Join", "Sort", "Aggregate", "Hash", "Unique")


def _is_far(node: Node) -> bool:
    factor = node.factor
    return factor is not None and (factor >= FAR or factor <= 1 / FAR)


def _may_be_cut_short(plan: Plan, node: Node) -> bool:
    """Whoever is above stopped asking: fewer rows than expected are then no mistake."""
    for above in plan.above(node):
        if above.kind in ("Limit", "Merge Join") or above.text_of("Join Type") in ("Semi", "Anti"):
            return True
        if above.kind in _BLOCKING:
            return False
    return any(above.subplan for above in (node, *plan.above(node)))


def misestimate(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Where a wrong row count begins: the nodes below it were estimated well."""
    for node in plan.nodes:
        factor = node.factor
        if factor is None or not _is_far(node):
            continue
        if abs((node.actual_rows or 0) - node.planned_rows) * node.loops < _LEAST_ROWS:
            continue
        if any(_is_far(plan.nodes[child]) for child in node.children):
            continue
        if factor < 1 and _may_be_cut_short(plan, node):
            continue
        misled = [above for above in plan.above(node) if above.kind in _MISLED]
        weight = max((inclusive_share(plan, one) for one in (node, *misled[:1])), default=0.0)
        yield Remark(
            node.number,
            "The planner expected a very different number of rows here.",
            f"{units.count(node.planned_rows)} rows expected, {units.count(node.actual_rows)} came"
            f" per loop: {times(factor)}",
            _remedy(node),
            weight,
        )


def _remedy(node: Node) -> str:
    if node.kind in ("Function Scan", "ProjectSet", "Table Function Scan"):
        return "ALTER FUNCTION ... ROWS n, or put the rows into a table and ANALYZE it."
    if node.kind in ("CTE Scan", "WorkTable Scan"):
        return "NOT MATERIALIZED, or put the rows into a temporary table and ANALYZE it."
    if not node.text_of("Relation Name"):
        return "Statistics on the columns joined or grouped (CREATE STATISTICS), then ANALYZE."
    filtered = [*conditions(node.text_of("Filter")), *conditions(node.text_of("Index Cond"))]
    columns = list(dict.fromkeys(one.column for one in filtered))
    table = relation_name(node)
    if len(columns) > 1:
        return f"CREATE STATISTICS ON {', '.join(columns)} FROM {table}; ANALYZE {table};"
    return f"ANALYZE {table}; if that does not help, a larger statistics target for the column."


def join_order(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """A nested loop chosen for a few rows that turned out to be many."""
    for node in plan.nodes:
        ordinary = [n for n in node.children if not plan.nodes[n].subplan]
        if node.kind != "Nested Loop" or len(ordinary) < 2:
            continue
        outer, inner = plan.nodes[ordinary[0]], plan.nodes[ordinary[1]]
        share = inclusive_share(plan, inner)
        if (outer.factor or 1) < FAR or (outer.total_rows or 0) < _LEAST_ROWS or share < 0.2:
            continue
        yield Remark(
            node.number,
            "A nested loop was chosen for few outer rows, and many came:"
            " another join or order would do better.",
            f"outer side: {units.count(outer.planned_rows)} rows expected,"
            f" {units.count(outer.actual_rows)} came; inner side ran"
            f" {units.count(inner.loops)} times",
            "Mend the outer side's estimate; try SET enable_nestloop = off to see the other plan.",
            share,
        )
