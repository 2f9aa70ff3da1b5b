"""What is different since the last report of the same database: kept in the state directory.

A report leaves its verdict, the severity of every finding by check and object, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from console.backup import jsonfile
from console.findings import Severity
from console.report import Report
from console.report_file import write_report
from console.reporting.model import Change, Changes, Readiness
from console.settings import state_directory

_SUMMARIES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Remembered:
    """One report, as the next one is compared with it."""

    at: datetime
    verdict: Severity
    findings: dict[str, Severity]
    """By check and object."""
    summaries: dict[str, str]
    """The figure of each check, by its title."""
    categories: tuple[str, ...] = ()
    """What was looked at: what was not is not gone."""


def remembered(report: Report) -> Remembered:
    findings: dict[str, Severity] = {
        f"{finding.check} {finding.subject}".rstrip(): finding.severity
        for finding in reversed(report.findings)
        if finding.severity is not Severity.OK
    }
    summaries = {result.title: result.summary for result in report.results}
    categories = sorted({_category(result.id) for result in report.results})
    return Remembered(report.finished, report.verdict, findings, summaries, tuple(categories))


def _category(name: str) -> str:
    return name.partition(".")[0]


def path_of(report: Report) -> Path:
    """Where a database's last report is kept; databases are told apart by their place."""
    digest = hashlib.sha256(f"{report.target} {report.profile}".encode()).hexdigest()[:16]
    return state_directory() / "reports" / f"last-{digest}.json"


def with_changes(readiness: Readiness, path: Path) -> Readiness:
    """The report with what has changed since the one kept at `path`."""
    if not path.exists():
        return readiness
    try:
        before = jsonfile.decode(json.loads(path.read_bytes()), Remembered)
    except (OSError, ValueError, RecursionError):
        remark = "The last report could not be read, so nothing is said of changes."
        return replace(readiness, changes=Changes(None, (), remark))
    found = tuple(compared(before, remembered(readiness.report)))
    return replace(readiness, changes=Changes(before.at.astimezone(UTC), found))


def compared(before: Remembered, now: Remembered) -> Iterator[Change]:
    """Problems that came, went, or weigh another; then figures that are others."""
    if before.verdict is not now.verdict:
        kind = "worse" if now.verdict.rank < before.verdict.rank else "better"
        yield Change(kind, f"The verdict was {before.verdict} and is {now.verdict}.")
    for name, severity in sorted(now.findings.items(), key=lambda one: (one[1].rank, one[0])):
        earlier = before.findings.get(name)
        if _category(name) not in before.categories:
            continue
        if earlier is None:
            yield Change("new", f"{name}: {severity}.")
        elif earlier is not severity:
            kind = "worse" if severity.rank < earlier.rank else "better"
            yield Change(kind, f"{name}: was {earlier}, is {severity}.")
    for name, severity in before.findings.items():
        if name not in now.findings and _category(name) in now.categories:
            yield Change("gone", f"{name}: was {severity}.")
    yield from _figures(before.summaries, now.summaries)


def _figures(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    others = [(title, text) for title, text in now.items() if before.get(title, text) != text]
    for title, text in others[:_SUMMARIES_SHOWN]:
        yield Change("figure", f"{title}: was {before[title]}; is {text}.")


def remember(report: Report, path: Path) -> None:
    """Keep it for the next report. Raises ActionRefused."""
    content = json.dumps(jsonfile.encode(remembered(report)), indent=1, ensure_ascii=False)
    write_report(path, content + "\n", make_directory=True)
