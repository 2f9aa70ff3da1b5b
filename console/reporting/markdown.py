"""A report as Markdown: readable as it stands, and without HTML."""

from __future__ import annotations

from collections.abc import Iterator

from console.report import WORDS, context_line, escaped, markdown_finding
from console.reporting.model import Grid, Readiness, Section
from console.reporting.words import NO_SCORE, changes_sentence, evidence, tally_sentence


def markdown(readiness: Readiness) -> str:
    return "\n".join(_lines(readiness)) + "\n"


def _lines(readiness: Readiness) -> Iterator[str]:
    report = readiness.report
    yield from (f"# Readiness: {escaped(report.headline)}", "", escaped(context_line(report)), "")
    if readiness.is_whole:
        yield from (tally_sentence(readiness), NO_SCORE, "", *_contents(readiness))
        yield from ("", "## What changed", "", *_changes(readiness))
    for section in readiness.sections:
        yield from ("", *_section(section))
    yield from ("", "## What was not checked", "")
    told = [f"- {escaped(title)}: {escaped(why)}" for title, why in readiness.unknown]
    yield from told or ["Everything that a report asks was answered."]
    yield from ("", "## Evidence", "", *_evidence(readiness))


def _contents(readiness: Readiness) -> Iterator[str]:
    yield from ("| | Section | Summary |", "|---|---|---|")
    for section in readiness.sections:
        title = f"[{escaped(section.title)}](#{section.id})"
        yield f"| {_word(section)} | {title} | {escaped(section.summary)} |"


def _word(section: Section) -> str:
    return WORDS[section.severity] if section.results else "-"


def _changes(readiness: Readiness) -> Iterator[str]:
    yield changes_sentence(readiness.changes)
    if readiness.changes.changes:
        yield ""
    for change in readiness.changes.changes:
        yield f"- {change.kind}: {escaped(change.what)}"


def _section(section: Section) -> Iterator[str]:
    yield from (f'<a id="{section.id}"></a>', "")
    yield from (f"## {escaped(section.title)}", "", escaped(section.summary))
    if len(section.results) > 1:
        rows = tuple((WORDS[severity], *words) for severity, *words in section.outcomes)
        yield from ("", *_table(Grid("", ("", "Check", "Result"), rows)))
    for grid in section.grids:
        yield from ("", f"### {escaped(grid.title)}", "", *_table(grid))
    for chart in section.charts:
        if not any(grid.title == chart.title for grid in section.grids):
            rows = tuple((bar.label, bar.shown) for bar in chart.bars)
            yield from ("", f"### {escaped(chart.title)}", "")
            yield from _table(Grid("", ("What", "Value"), rows))
    for finding in section.findings:
        yield from ("", *markdown_finding(finding, level=3))


def _table(grid: Grid) -> Iterator[str]:
    yield _row(grid.columns)
    yield "|" + "---|" * len(grid.columns)
    for row in grid.rows:
        yield _row(row)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(escaped(cell) or " " for cell in cells) + " |"


def _evidence(readiness: Readiness) -> Iterator[str]:
    columns = ("Check", "Asked", "Found", "At (UTC)")
    yield from _table(Grid("", columns, tuple(evidence(readiness))))
