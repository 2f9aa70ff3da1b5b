"""An experiment as text of 80 columns, and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from console import units
from console.lab import words
from console.lab.result import LabResult, as_json
from console.names import quoted
from console.report import escaped, fenced, printable, wrapped

_WIDTH = 80
_NAME = 32


def text(result: LabResult) -> str:
    """For a terminal."""
    return printable("\n".join(_lines(result))) + "\n"


def _lines(result: LabResult) -> Iterator[str]:
    yield words.headline(result)
    for sentence in (words.tally(result), words.conditions(result)):
        yield from textwrap.wrap(sentence, _WIDTH, break_long_words=False)
    if result.queries:
        yield ""
        yield f"{'STATEMENT':{_NAME}} {'WITHOUT':>8} {'WITH':>8} {'CHANGE':>8}  INTERVAL"
    for query in result.queries:
        yield (
            f"{_cut(query.name, _NAME):{_NAME}} {words.milliseconds(query.without_ms):>8}"
            f" {words.milliseconds(query.with_ms):>8} {words.signed(query.change.share):>8}"
            f"  {words.interval(query.change)}"
        )
        if words.ways(query):
            yield from wrapped(words.ways(query), "  ", "    ")
    yield from ("", f"{'INDEX':45} {'SIZE':>8} {'BUILD':>8}  GAIN")
    for index in result.indexes:
        yield (
            f"{_cut(index.name, 45):45} {units.size(index.bytes):>8}"
            f" {units.duration(index.build_seconds):>8}  {index.verdict}"
        )
        for sentence in (words.served(index), words.taxed(index)):
            if sentence:
                yield from wrapped(sentence, "  ", "    ")
        if not index.was_there:
            yield from wrapped(f"{index.statement};  ({index.reason})", "  ", "    ")
    yield from _costs(result)
    yield from ("", *textwrap.wrap(words.METHOD, _WIDTH, break_long_words=False))
    yield from wrapped(f"Settings: {_settings(result)}.", "", "  ")


def _costs(result: LabResult) -> Iterator[str]:
    """What writers pay, on which tables, and what was left out."""
    if result.writes:
        yield from ("", "A ROW'S NEW VERSION, WITH ALL OF THEM")
    for cost in result.writes:
        count = f"{cost.indexes_without} to {cost.indexes_with} indexes"
        yield from wrapped(f"{cost.table}, {count}: {words.written(cost)}", "  ", "    ")
    yield from ("", f"{'TABLE':45} {'ROWS':>8} {'SIZE':>8}")
    for table in result.tables:
        yield f"{_cut(table.name, 45):45} {units.count(table.rows):>8} {units.size(table.bytes):>8}"
    if result.skipped:
        yield from ("", "NOT MEASURED")
    for one in result.skipped:
        yield from wrapped(f"{one.name}: {one.reason}", "  - ", "    ")


def _settings(result: LabResult) -> str:
    return ", ".join(f"{name} {setting}" for name, setting in result.settings.items())


def _cut(name: str, room: int) -> str:
    return name if len(name) <= room else name[: room - 1] + "…"


def markdown(result: LabResult) -> str:
    """For a ticket or a repository."""
    lines = [f"# {escaped(words.headline(result))}", "", escaped(words.tally(result)), ""]
    lines += [escaped(words.conditions(result)), ""]
    lines += _grid(
        ("Statement", "Without", "With", "Change", "95 % interval", "Plan"),
        [
            (
                query.name,
                words.milliseconds(query.without_ms),
                words.milliseconds(query.with_ms),
                words.signed(query.change.share),
                words.interval(query.change),
                words.ways(query) or "the same",
            )
            for query in result.queries
        ],
    )
    lines += _grid(
        ("Index", "Size", "Build", "Gain", "Cost"),
        [
            (
                quoted(index.name),
                units.size(index.bytes),
                units.duration(index.build_seconds),
                words.gained(index),
                words.taxed(index),
            )
            for index in result.indexes
        ],
    )
    new = [f"{index.statement};" for index in result.indexes if not index.was_there]
    if new:
        lines += [*fenced("\n".join(new), "sql"), ""]
    lines += _grid(
        ("Table", "Indexes", "A row's new version"),
        [
            (cost.table, f"{cost.indexes_without} to {cost.indexes_with}", words.written(cost))
            for cost in result.writes
        ],
    )
    lines += _grid(
        ("Table", "Rows", "Size"),
        [(table.name, units.count(table.rows), units.size(table.bytes)) for table in result.tables],
    )
    lines += [f"- Not measured: {escaped(f'{one.name}: {one.reason}')}" for one in result.skipped]
    lines += ["", escaped(words.METHOD), "", f"Settings: {escaped(_settings(result))}."]
    return "\n".join(lines) + "\n"


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, or nothing without rows."""
    if not rows:
        return []
    cells = [[escaped(cell).replace("|", "\\|") for cell in row] for row in rows]
    return [
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
        *(f"| {' | '.join(row)} |" for row in cells),
        "",
    ]


FORMATS = {"text": text, "markdown": markdown, "json": as_json}
