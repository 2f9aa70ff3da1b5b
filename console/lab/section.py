"""What the index lab measured last, as a part of the readiness report."""

from __future__ import annotations

from datetime import datetime

from console import units
from console.lab import words
from console.lab.result import LabResult
from console.reporting.model import Bar, Chart, Grid, Section


def section(result: LabResult, now: datetime) -> Section:
    """The figure with its age and the conditions it holds for."""
    age = units.age(result.at, now)
    summary = (
        f"Index lab, {age}: {words.headline(result)}. {words.tally(result)}"
        f" {words.conditions(result)}"
    )
    grids = (_indexes(result, age), _statements(result, age))
    return Section("lab", "Index lab", summary, grids=grids, charts=_charts(result))


def _indexes(result: LabResult, age: str) -> Grid:
    rows = tuple(
        (index.name, units.size(index.bytes), words.gained(index), words.taxed(index))
        for index in result.indexes
    )
    return Grid(f"What each index gains, measured {age}", ("Index", "Size", "Gain", "Cost"), rows)


def _statements(result: LabResult, age: str) -> Grid:
    rows = tuple(
        (
            query.name,
            words.milliseconds(query.without_ms),
            words.milliseconds(query.with_ms),
            words.signed(query.change.share),
            words.interval(query.change),
        )
        for query in result.queries
    )
    columns = ("Statement", "Without", "With", "Change", "95 % interval")
    return Grid(f"Statements without and with them, measured {age}", columns, rows)


def _charts(result: LabResult) -> tuple[Chart, ...]:
    bars = []
    for query in result.queries:
        if query.used:
            for label, amount in (("without", query.without_ms), ("with", query.with_ms)):
                bars.append(Bar(f"{query.name}, {label}", amount, words.milliseconds(amount)))
    return (Chart("Time without and with the indexes", tuple(bars), is_logarithmic=True),)
