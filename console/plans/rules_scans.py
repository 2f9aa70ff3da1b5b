"""Rules about reading tables and indexes."""

from __future__ import annotations

from collections.abc import Iterator

from console import units
from console.plans.details import milliseconds
from console.plans.remark import (
    MANY_ROWS,
    SELECTIVE,
    Indexes,
    Remark,
    conditions,
    relation_name,
    removed,
    suggested_index,
)
from console.plans.tree import Node, Plan

_MIN_SHARE = 0.1


def _throws_away(node: Node, name: str = "Rows Removed by Filter") -> float | None:
    """The part of the rows read that the filter removed, where it is most of many."""
    gone, kept = removed(node, name), node.total_rows or 0.0
    if gone < MANY_ROWS or gone / (gone + kept) < SELECTIVE:
        return None
    return gone / (gone + kept)


def _reading(node: Node, part: float) -> str:
    gone, kept = removed(node), node.total_rows or 0.0
    return (
        f"read {units.count(gone + kept)} rows, kept {units.count(kept)}"
        f" ({units.percent(part)} removed by {node.text_of('Filter')})"
    )


def _index_for(node: Node, indexes: Indexes) -> str | None:
    """An existing index that begins with a column of the filter."""
    wanted = {one.column for one in conditions(node.text_of("Filter"))}
    known = indexes.get((node.text_of("Schema"), node.text_of("Relation Name")), ())
    return next((name for name, columns in known if columns and columns[0] in wanted), None)


def sequential_scan(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """A whole table is read for a few of its rows."""
    for node in plan.nodes:
        part = _throws_away(node) if node.kind == "Seq Scan" else None
        if part is None or plan.share(node) < _MIN_SHARE or _index_for(node, indexes):
            continue
        yield Remark(
            node.number,
            "The whole table is read for few of its rows; no index serves the filter.",
            _reading(node, part),
            suggested_index(node) or "An index on the expression that the filter computes.",
            plan.share(node),
        )


def unused_index(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """A whole table is read although an index begins with a column of its filter."""
    for node in plan.nodes:
        part = _throws_away(node) if node.kind == "Seq Scan" else None
        name = _index_for(node, indexes) if part is not None else None
        if part is None or name is None or plan.share(node) < _MIN_SHARE:
            continue
        cast = "::" in node.text_of("Filter").split(" = ")[0]
        yield Remark(
            node.number,
            f"The whole table is read although index {name} begins with a column of the filter.",
            _reading(node, part),
            "The column is cast to another type: compare it with a value of its own type."
            if cast
            else f"ANALYZE {relation_name(node)}; and see whether a cast, a collation or a setting"
            " keeps the index away.",
            plan.share(node),
        )


def index_filter(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """An index finds many rows that a filter then throws away."""
    for node in plan.nodes:
        if node.kind not in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan"):
            continue
        part = _throws_away(node)
        if part is None or plan.share(node) < _MIN_SHARE:
            continue
        yield Remark(
            node.number,
            "The index finds many rows that the filter then throws away.",
            _reading(node, part),
            "An index that has the filter's columns too, or a partial index with that condition.",
            plan.share(node),
        )


def heap_fetches(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """An index-only scan that visits the table, because vacuum has not been there."""
    for node in plan.nodes:
        fetches = node.number_of("Heap Fetches")
        rows = max(1.0, (node.total_rows or 0.0) + removed(node))
        if node.kind != "Index Only Scan" or fetches < 100 or fetches / rows < 0.1:
            continue
        yield Remark(
            node.number,
            "The index-only scan visits the table, as its pages are not marked all-visible.",
            f"{units.count(fetches)} heap fetches for {units.count(rows)} rows",
            f"VACUUM {relation_name(node)}; and let autovacuum come more often.",
            plan.share(node),
        )


def lossy_bitmap(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """The bitmap did not fit into work_mem and holds whole pages."""
    for node in plan.nodes:
        lossy = node.number_of("Lossy Heap Blocks")
        if not lossy or not node.number_of("Rows Removed by Index Recheck"):
            continue
        rechecked = removed(node, "Rows Removed by Index Recheck")
        yield Remark(
            node.number,
            "The bitmap outgrew work_mem and holds whole pages, whose rows are checked again.",
            f"{units.count(lossy)} lossy of"
            f" {units.count(lossy + node.number_of('Exact Heap Blocks'))} heap blocks,"
            f" {units.count(rechecked)} rows removed by the recheck",
            "Raise work_mem for this statement.",
            plan.share(node),
        )


def cold_cache(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Most of the time is spent waiting for blocks from outside shared buffers."""
    total = plan.total_ms
    if not total:
        return
    for node in plan.nodes:
        share = node.own_io_ms / total
        if share < 0.5:
            continue
        read = round(node.own_read)
        yield Remark(
            node.number,
            "Most of the time is waiting for blocks from outside shared buffers.",
            f"{milliseconds(node.own_io_ms)} of I/O for {units.count(read)} blocks"
            f" ({units.size(read * 8192)})",
            "Run it again: if it is quick then, the cache was cold; if not, read less or add"
            " memory (shared_buffers).",
            share,
        )
