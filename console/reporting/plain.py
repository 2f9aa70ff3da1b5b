"""A report as text of 80 columns, and as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from console.report import (
    FORMAT_VERSION,
    WORDS,
    check_object,
    context_line,
    finding_lines,
    finding_object,
    printable,
    wrapped,
)
from console.reporting.model import Chart, Grid, Readiness, Section
from console.reporting.words import (
    NO_SCORE,
    changes_sentence,
    evidence,
    tally_sentence,
)

_WIDTH = 80


def text(readiness: Readiness) -> str:
    """Everything but the appendix of evidence, which each finding carries with it."""
    return printable("\n".join(_lines(readiness))) + "\n"


def _lines(readiness: Readiness) -> Iterator[str]:
    report = readiness.report
    yield report.headline
    yield from _paragraph(context_line(report))
    if readiness.is_whole:
        yield from ("", *_paragraph(tally_sentence(readiness)), *_paragraph(NO_SCORE))
        yield from ("", *_paragraph(changes_sentence(readiness.changes)))
    for change in readiness.changes.changes:
        yield from wrapped(printable(change.what), f"  {change.kind:6}  ", " " * 10)
    for section in readiness.sections:
        yield from ("", *_section(section))
    unknown = list(readiness.unknown)
    if unknown:
        yield from ("", "NOT CHECKED")
    for title, why in unknown:
        yield from wrapped(printable(f"{title}: {why}"), "  - ", "    ")


def _paragraph(content: str) -> list[str]:
    return textwrap.wrap(printable(content), _WIDTH, break_long_words=False)


def _section(section: Section) -> Iterator[str]:
    word = WORDS[section.severity] if section.results else "-"
    yield f"{section.title.upper()}  [{word}]"
    yield from wrapped(printable(section.summary), "  ", "  ")
    if len(section.results) > 1:
        width = max(len(result.title) for result in section.results)
        yield ""
        for result in section.results:
            head = f"  {WORDS[result.severity]:4}  {result.title:{width}}  "
            yield from wrapped(printable(result.summary), head, " " * len(head))
    for grid in section.grids:
        if grid.rows:
            yield from ("", *_grid(grid))
    for finding in section.findings:
        yield from ("", *finding_lines(finding))


def _grid(grid: Grid) -> Iterator[str]:
    """Columns as wide as what is in them; the last one takes the rest of the line."""
    yield f"  {printable(grid.title)}"
    rows = [tuple(printable(cell) for cell in row) for row in (grid.columns, *grid.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for row in rows:
        head = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        lead = f"  {head}  " if head else "  "
        yield from wrapped(row[-1], lead, " " * min(len(lead), 24))


def as_json(readiness: Readiness) -> str:
    """One object; times are ISO 8601 in UTC.

    format, verdict, headline, target, server_version, role, profile, started and finished as of
    `check --format json`. sections: a list of {id, title, severity (null where nothing ran),
    summary, checks, findings, tables: [{title, columns, rows}], charts: [{title, limit, bars:
    [{label, value, shown}]}]}. not_checked: a list of {section, why}. changes: {since, remark,
    changes: [{kind, what}]}. evidence: a list of {check, asked, answer, at}.
    """
    report = readiness.report
    changes = readiness.changes
    document = {
        "format": FORMAT_VERSION,
        "verdict": readiness.verdict.value,
        "headline": report.headline,
        "target": report.target,
        "server_version": report.server_version,
        "role": report.role,
        "profile": report.profile,
        "profile_reason": report.profile_reason,
        "started": report.started.isoformat(),
        "finished": report.finished.isoformat(),
        "sections": [_section_object(section) for section in readiness.sections],
        "not_checked": [{"section": title, "why": why} for title, why in readiness.unknown],
        "changes": {
            "since": changes.since.isoformat() if changes.since else None,
            "remark": changes.remark,
            "changes": [{"kind": one.kind, "what": one.what} for one in changes.changes],
        },
        "evidence": [
            dict(zip(("check", "asked", "answer", "at"), row, strict=True))
            for row in evidence(readiness)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _section_object(section: Section) -> dict[str, object]:
    return {
        "id": section.id,
        "title": section.title,
        "severity": section.severity.value if section.results else None,
        "summary": section.summary,
        "checks": [check_object(result) for result in section.results],
        "findings": [finding_object(finding) for finding in section.findings],
        "tables": [
            {"title": grid.title, "columns": list(grid.columns), "rows": list(map(list, grid.rows))}
            for grid in section.grids
        ],
        "charts": [_chart_object(chart) for chart in section.charts],
    }


def _chart_object(chart: Chart) -> dict[str, object]:
    bars = [{"label": bar.label, "value": bar.value, "shown": bar.shown} for bar in chart.bars]
    return {"title": chart.title, "limit": chart.limit, "bars": bars}
