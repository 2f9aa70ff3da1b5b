"""Rules about joins, sorts, hashes and repetition."""

from __future__ import annotations

from collections.abc import Iterator

from console import units
from console.plans.details import milliseconds
from console.plans.remark import (
    MANY_ROWS,
    SELECTIVE,
    Indexes,
    Remark,
    inclusive_share,
    removed,
)
from console.plans.tree import Node, Plan

_MIN_SHARE = 0.1
MANY_LOOPS = 1000
_BLOCK_KB = 8


def late_filter(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Rows are joined or computed only to be thrown away."""
    for node in plan.nodes:
        is_join = node.kind in ("Nested Loop", "Hash Join", "Merge Join")
        name = "Rows Removed by Join Filter" if is_join else "Rows Removed by Filter"
        if not is_join and node.kind not in ("Subquery Scan", "Aggregate", "WindowAgg"):
            continue
        gone, kept = removed(node, name), node.total_rows or 0.0
        share = inclusive_share(plan, node)
        if gone < MANY_ROWS or gone / (gone + kept) < SELECTIVE or share < _MIN_SHARE:
            continue
        condition = node.text_of("Join Filter" if is_join else "Filter")
        yield Remark(
            node.number,
            "Rows are joined only to be thrown away."
            if is_join
            else "Rows are computed only to be thrown away.",
            f"{units.count(gone)} rows removed by {condition}, {units.count(kept)} kept",
            "Join by an equality that an index or a hash can serve."
            if is_join
            else "Filter earlier: move the condition into the subquery, before it groups or sorts.",
            share,
        )


def cte_filter(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """A CTE is computed as a whole and then mostly thrown away."""
    for node in plan.nodes:
        gone, kept = removed(node), node.total_rows or 0.0
        if node.kind != "CTE Scan" or gone < MANY_ROWS or gone / (gone + kept) < SELECTIVE:
            continue
        name = node.text_of("CTE Name")
        root = next((one for one in plan.nodes if one.subplan == f"CTE {name}"), None)
        share = plan.share(node) + (inclusive_share(plan, root) if root else 0.0)
        if share < _MIN_SHARE:
            continue
        yield Remark(
            node.number,
            "The CTE is computed as a whole and then mostly thrown away.",
            f"{units.count(gone)} of {units.count(gone + kept)} rows removed by"
            f" {node.text_of('Filter')}",
            f"WITH {name} AS NOT MATERIALIZED (...), so that the condition moves into it.",
            min(1.0, share),
        )


def offset(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """OFFSET reads rows only to skip them."""
    for node in plan.nodes:
        if node.kind != "Limit" or not node.children or node.actual_rows is None:
            continue
        below = plan.nodes[node.children[0]]
        made, kept = below.total_rows or 0.0, node.total_rows or 0.0
        if made < MANY_ROWS or made < 10 * max(kept, 1):
            continue
        yield Remark(
            node.number,
            "Rows are made only to be skipped, as OFFSET does.",
            f"{units.count(made)} rows made, {units.count(kept)} returned",
            "Continue after the last row seen: WHERE (key) > (last key) ORDER BY key LIMIT n.",
            inclusive_share(plan, node),
        )


def spill(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """What did not fit into work_mem went to temporary files."""
    for node in plan.nodes:
        evidence, kb = _spilled(node)
        if not evidence:
            continue
        factor = 1 if node.kind == "Hash" else 3  # in memory a sort needs more than on disk
        wanted = _power_of_two(kb * factor)
        weight = max([plan.share(node), *(plan.share(above) for above in _taking(plan, node))])
        yield Remark(
            node.number,
            "It did not fit into work_mem and went to temporary files.",
            evidence,
            f"SET work_mem = '{wanted}'; for this statement: every sort and hash of every session"
            " may take that much.",
            weight,
        )


def _taking(plan: Plan, node: Node) -> list[Node]:
    """A Hash's batches are read back by the join above it."""
    if node.kind != "Hash" or node.parent is None:
        return []
    return [plan.nodes[node.parent]]


def _spilled(node: Node) -> tuple[str, float]:
    """What was seen, and how much memory would have held it on disk, in kB."""
    disk = node.number_of("Sort Space Used")
    if node.text_of("Sort Space Type") == "Disk":
        return f"{node.text_of('Sort Method')} with {units.size(int(disk) * 1024)} on disk", disk
    usage = node.number_of("Disk Usage")
    if usage:
        batches = node.number_of("HashAgg Batches")
        return f"{units.size(int(usage) * 1024)} on disk in {batches:.0f} batches", usage
    batches = node.number_of("Hash Batches")
    if batches > 1:
        memory = node.number_of("Peak Memory Usage")
        each = units.size(int(memory) * 1024)
        return f"{batches:.0f} batches of up to {each} each", memory * batches
    written = node.number_of("Temp Written Blocks")
    if written and not node.children:
        return f"{units.size(int(written) * 8192)} of temporary files", written * _BLOCK_KB
    if node.text_of("Storage") == "Disk":
        stored = node.number_of("Maximum Storage")
        return f"{units.size(int(stored) * 1024)} stored on disk", stored
    groups = node.properties.get("Full-sort Groups")
    if isinstance(groups, dict) and "Sort Space Disk" in groups:
        return "an incremental sort's groups went to disk", 4096
    return "", 0


def _power_of_two(kb: float) -> str:
    wanted = 1
    while wanted * 1024 < kb:
        wanted *= 2
    return f"{wanted}MB"


def many_loops(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """The inner side of a nested loop runs very often and takes the time."""
    for node in plan.nodes:
        if node.kind != "Nested Loop" or len(node.children) < 2:
            continue
        inner = plan.nodes[[n for n in node.children if not plan.nodes[n].subplan][-1]]
        loops = inner.loops / inner.processes
        share = inclusive_share(plan, inner)
        if loops < MANY_LOOPS or share < 0.3:
            continue
        scanned = next((one for one in plan.below(inner) if one.kind == "Seq Scan"), None)
        yield Remark(
            inner.number,
            "The inner side of a nested loop runs very often and takes much of the time.",
            f"{units.count(loops)} loops of {inner.number_of('Actual Total Time'):.3f} ms,"
            f" {milliseconds(inner.inclusive_ms)} in all",
            "An index on the joined column of the inner table."
            if scanned is not None
            else "Fewer rows on the outer side, or statistics that let the planner hash instead.",
            share,
        )


def correlated_subplan(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """A subquery that runs once for every row."""
    for node in plan.nodes:
        loops = node.loops / node.processes
        share = inclusive_share(plan, node)
        if not node.subplan.startswith("SubPlan") or loops < MANY_LOOPS or share < _MIN_SHARE:
            continue
        yield Remark(
            node.number,
            f"{node.subplan} runs once for every row.",
            f"{units.count(loops)} loops, {milliseconds(node.inclusive_ms)} in all",
            "Write it as a join: LEFT JOIN to a grouped subquery, or LATERAL with an index.",
            share,
        )


def memoize(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """A cache of a nested loop's inner side that seldom hits, or is too small."""
    for node in plan.nodes:
        hits, misses = node.number_of("Cache Hits"), node.number_of("Cache Misses")
        evictions = node.number_of("Cache Evictions")
        if node.kind != "Memoize" or hits + misses < MANY_LOOPS:
            continue
        ratio = hits / (hits + misses)
        if ratio >= 0.3 and not evictions:
            continue
        yield Remark(
            node.number,
            "The cache is too small for its keys." if evictions else "The cache seldom helps.",
            f"{units.count(hits)} hits, {units.count(misses)} misses,"
            f" {units.count(evictions)} evictions",
            "Raise work_mem or hash_mem_multiplier."
            if evictions
            else "ANALYZE the outer table: the planner expected the keys to repeat more often.",
            inclusive_share(plan, node),
        )
