"""What there is to know about a node and about a plan, in words and with units."""

from __future__ import annotations

from collections.abc import Iterator

from console import units
from console.plans.tree import Node, Plan

Fact = tuple[str, str]

_BLOCK = 8192
_TEXTS = (
    "Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Order By",
    "One-Time Filter", "Sort Key", "Presorted Key", "Group Key", "Cache Key", "Function Call",
    "Params Evaluated", "Remote SQL", "Run Condition", "Conflict Resolution", "Output",
)  # fmt: skip
_REMOVED = (
    "Rows Removed by Filter",
    "Rows Removed by Join Filter",
    "Rows Removed by Index Recheck",
)


def milliseconds(ms: float | None) -> str:
    """Milliseconds as an operator reads them."""
    return units.duration(None if ms is None else ms / 1000)


def times(factor: float) -> str:
    """How far the rows are from what was expected: '12x more', '8x fewer', 'as expected'."""
    if factor >= 1.5:
        return f"{_short(factor)}x more"
    if factor <= 1 / 1.5:
        return f"{_short(1 / factor)}x fewer"
    return "as expected"


def _short(value: float) -> str:
    return units.count(round(value)) if value >= 10 else f"{value:.1f}".removesuffix(".0")


def summary(plan: Plan) -> list[Fact]:
    """The whole plan: times, what is beside the tree, settings."""
    return list(_summary(plan))


def _summary(plan: Plan) -> Iterator[Fact]:
    if plan.planning_ms is not None:
        yield "planning", milliseconds(plan.planning_ms)
    if plan.execution_ms is not None:
        yield "execution", milliseconds(plan.execution_ms)
    if not plan.is_analyzed:
        cost = units.count(plan.root.number_of("Total Cost"))
        yield "estimated", f"cost {cost}, {units.count(plan.root.planned_rows)} rows; not run"
    elif not plan.is_timed:
        yield "timing", "off: shares are of the estimated cost"
    for trigger in plan.triggers:
        on = f" on {trigger.relation}" if trigger.relation else ""
        yield (
            "trigger",
            f"{trigger.name}{on}: {milliseconds(trigger.ms)} in {units.count(trigger.calls)} calls",
        )
    if plan.jit_ms:
        yield "JIT", f"{milliseconds(plan.jit_ms)} (partly within the nodes' times)"
    if plan.serialization_ms:
        yield "serialization", milliseconds(plan.serialization_ms)
    if plan.after_root_ms:
        yield "after the root", f"{milliseconds(plan.after_root_ms)} in data-modifying CTEs"
    if plan.is_timed and plan.adjusted_ms > 0.01 * (plan.total_ms or 0):
        yield "rounding", f"{milliseconds(plan.adjusted_ms)} were measured twice and shared out"
    for name, value in plan.settings.items():
        yield "setting", f"{name} = {value}"


def facts(plan: Plan, node: Node) -> list[Fact]:
    """One node: time, rows, blocks, memory, workers, conditions."""
    return [*_time(plan, node), *_rows(node), *_work(node), *_blocks(node), *_texts(node)]


def _time(plan: Plan, node: Node) -> Iterator[Fact]:
    if node.subplan:
        yield "runs as", node.subplan
    if node.is_never_executed:
        yield "executed", "never"
    elif node.exclusive_ms is not None:
        share = units.percent(round(plan.share(node), 3))
        yield "own time", f"{milliseconds(node.exclusive_ms)} ({share} of the whole)"
        yield "with all below", milliseconds(node.inclusive_ms)
        each = node.number_of("Actual Total Time")
        if node.loops > 1:
            about = "about " if each < 0.01 and node.loops > 1000 else ""
            yield "per loop", f"{about}{each:.3f} ms in {units.count(node.loops)} loops"
        if node.processes > 1:
            yield "processes", f"{node.processes:.3g} at once; times are per process"
    start, total = node.number_of("Startup Cost"), node.number_of("Total Cost")
    if "Total Cost" in node.properties:
        yield "cost", f"{start:.2f} to the first row, {total:.2f} in all"


def _rows(node: Node) -> Iterator[Fact]:
    planned = units.count(node.planned_rows)
    if node.actual_rows is None:
        yield "rows", f"{planned} expected"
    else:
        each = " per loop" if node.loops > 1 else ""
        got = f"{node.actual_rows:.3f}".rstrip("0").rstrip(".")
        yield "rows", f"{got}{each}, {planned} expected: {times(node.factor or 1)}"
        if node.loops > 1:
            yield "rows in all", units.count(node.total_rows)
    for name in _REMOVED:
        if node.number_of(name):
            each = " per loop" if node.loops > 1 else ""
            yield name.lower(), f"{units.count(node.number_of(name))}{each}"


def _work(node: Node) -> Iterator[Fact]:
    if "Sort Method" in node.properties:
        used = units.size(int(node.number_of("Sort Space Used")) * 1024)
        where = node.text_of("Sort Space Type").lower()
        yield "sort", f"{node.text_of('Sort Method')}, {used} {where}".rstrip(", ")
    batches = node.number_of("Hash Batches") or node.number_of("HashAgg Batches")
    if batches:
        memory = units.size(int(node.number_of("Peak Memory Usage")) * 1024)
        yield "hash", f"{batches:.0f} batches, {memory} memory"
    for name in ("Disk Usage", "Maximum Storage"):
        if node.number_of(name):
            yield name.lower(), units.size(int(node.number_of(name)) * 1024)
    if "Cache Hits" in node.properties:
        yield (
            "cache",
            f"{units.count(node.number_of('Cache Hits'))} hits,"
            f" {units.count(node.number_of('Cache Misses'))} misses,"
            f" {units.count(node.number_of('Cache Evictions'))} evictions",
        )
    if "Workers Planned" in node.properties:
        launched = node.number_of("Workers Launched")
        yield "workers", f"{launched:.0f} of {node.number_of('Workers Planned'):.0f} launched"
    for name in ("Heap Fetches", "Index Searches", "Subplans Removed", "Lossy Heap Blocks"):
        if node.number_of(name):
            yield name.lower(), units.count(node.number_of(name))
    if node.properties.get("Disabled") is True:
        yield "disabled", "by an enable_... setting; nothing else could be used"


def _blocks(node: Node) -> Iterator[Fact]:
    if node.own_hit or node.own_read:
        yield (
            "own blocks",
            f"{units.count(round(node.own_hit))} from cache,"
            f" {units.count(round(node.own_read))} read"
            f" ({units.size(round((node.own_hit + node.own_read) * _BLOCK))})",
        )
    if node.own_io_ms:
        yield "own I/O wait", milliseconds(node.own_io_ms)
    for name in ("Shared Dirtied Blocks", "Shared Written Blocks", "Temp Read Blocks",
                 "Temp Written Blocks", "Local Read Blocks"):  # fmt: skip
        if node.number_of(name):
            size = units.size(int(node.number_of(name)) * _BLOCK)
            yield f"{name.lower()}", f"{units.count(node.number_of(name))} ({size}), with all below"
    if node.number_of("WAL Bytes"):
        yield "WAL", f"{units.size(int(node.number_of('WAL Bytes')))}, with all below"


def _texts(node: Node) -> Iterator[Fact]:
    for name in _TEXTS:
        value = node.text_of(name)
        if value:
            yield name.lower(), value
