"""A report as one HTML file: its style and charts are inside, it runs nothing and loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files

from console.findings import Finding, Severity
from console.report import WORDS, context_line, printable
from console.reporting.charts import svg
from console.reporting.model import Grid, Readiness, Section
from console.reporting.words import NO_SCORE, changes_sentence, evidence, tally

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(readiness: Readiness) -> str:
    return "\n".join(_lines(readiness)) + "\n"


def _lines(readiness: Readiness) -> Iterator[str]:
    report = readiness.report
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    yield from ("<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">')
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>Readiness of {_text(report.target)}: {_text(report.headline)}</title>"
    yield from ("<style>", style, "</style>", "</head>", "<body>")
    yield f'<header class="{readiness.verdict}">'
    yield f"<p>Readiness of {_text(report.target)}</p>"
    yield f"<h1>{_text(report.headline)}</h1>"
    yield f"<p>{_text(context_line(report))}</p>"
    yield from ("</header>", "<main>")
    if readiness.is_whole:
        yield from (*_tally(readiness), *_contents(readiness), *_changes(readiness))
    for section in readiness.sections:
        yield from _section(section)
    yield from (*_unknown(readiness), *_evidence(readiness), "</main>", "</body>", "</html>")


def _tally(readiness: Readiness) -> Iterator[str]:
    yield '<ul class="tally">'
    for severity, words, number in tally(readiness):
        of = severity if number else "none"
        yield f'<li class="{of}"><b>{number}</b> {words}</li>'
    yield "</ul>"
    yield f'<p class="small">{NO_SCORE}</p>'


def _contents(readiness: Readiness) -> Iterator[str]:
    yield '<table class="contents"><tbody>'
    for section in readiness.sections:
        yield (
            f'<tr><td>{_mark(section)}</td><th scope="row"><a href="#{section.id}">'
            f"{_text(section.title)}</a></th><td>{_text(section.summary)}</td></tr>"
        )
    yield "</tbody></table>"


def _mark(section: Section) -> str:
    if not section.results:
        return '<span class="mark none">NONE</span>'
    return _severity_mark(section.severity)


def _severity_mark(severity: Severity) -> str:
    return f'<span class="mark {severity}">{WORDS[severity]}</span>'


def _changes(readiness: Readiness) -> Iterator[str]:
    yield '<section id="changes"><h2>What changed</h2>'
    yield f"<p>{_text(changes_sentence(readiness.changes))}</p>"
    if readiness.changes.changes:
        items = (
            f'<li><span class="kind">{change.kind}</span> {_text(change.what)}</li>'
            for change in readiness.changes.changes
        )
        yield from ('<ul class="changes">', *items, "</ul>")
    yield "</section>"


def _section(section: Section) -> Iterator[str]:
    yield f'<section id="{section.id}">'
    yield f"<h2>{_mark(section)} {_text(section.title)}</h2>"
    yield f"<p>{_text(section.summary)}</p>"
    if len(section.results) > 1:
        yield from _outcomes(section)
    for chart in section.charts:
        yield f"<figure><figcaption>{_text(chart.title)}</figcaption>{svg(chart)}</figure>"
    for grid in section.grids:
        if grid.rows:
            yield from _table(grid.columns, grid.rows, grid.title)
    for finding in section.findings:
        yield from _finding(finding)
    yield "</section>"


def _outcomes(section: Section) -> Iterator[str]:
    yield '<table class="contents"><tbody>'
    for severity, title, figure in section.outcomes:
        yield (
            f'<tr><td>{_severity_mark(severity)}</td><th scope="row">{_text(title)}</th>'
            f"<td>{_text(figure)}</td></tr>"
        )
    yield "</tbody></table>"


def _table(
    columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], caption: str = ""
) -> Iterator[str]:
    yield '<div class="wide"><table>'
    if caption:
        yield f"<caption>{_text(caption)}</caption>"
    heads = "".join(f'<th scope="col">{_text(column)}</th>' for column in columns)
    yield f"<thead><tr>{heads}</tr></thead><tbody>"
    for row in rows:
        yield "<tr>" + "".join(map(_cell, row)) + "</tr>"
    yield "</tbody></table></div>"


def _cell(cell: str) -> str:
    """Short figures keep their unit beside them."""
    return f"<td{' class=short' if len(cell) <= 12 else ''}>{_text(cell)}</td>"


def _finding(finding: Finding) -> Iterator[str]:
    yield f'<article class="{finding.severity}">'
    subject = finding.subject or finding.check
    yield f"<h3>{_severity_mark(finding.severity)} {_text(subject)}</h3>"
    yield f"<p>{_text(finding.message)}</p>"
    if finding.evidence is not None:
        asked, found = _text(finding.evidence.asked), _text(finding.evidence.answer)
        yield f"<dl><dt>Asked</dt><dd>{asked}</dd><dt>Found</dt><dd>{found}</dd></dl>"
    if finding.fix:
        yield f"<pre>{_text(finding.fix)}</pre>"
    yield "</article>"


def _unknown(readiness: Readiness) -> Iterator[str]:
    yield '<section id="not-checked"><h2>What was not checked</h2>'
    told = [f"<li><b>{_text(t)}</b>: {_text(why)}</li>" for t, why in readiness.unknown]
    if told:
        yield from ("<ul>", *told, "</ul>")
    else:
        yield "<p>Everything that a report asks was answered.</p>"
    yield "</section>"


def _evidence(readiness: Readiness) -> Iterator[str]:
    grid = Grid("", ("Check", "Asked", "Found", "At (UTC)"), tuple(evidence(readiness)))
    yield '<section id="evidence" class="evidence"><h2>Evidence</h2>'
    yield from _table(grid.columns, grid.rows)
    yield "</section>"


def _text(content: str) -> str:
    return escape(printable(content))
