"""The same results for a screen reader or a terminal without a cursor: a sentence, a line, a fact.

No columns, no boxes, no indentation that means something; words in place of marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from console.findings import Finding, Severity
from console.units import age, count, size

if TYPE_CHECKING:
    from console.backup.manifest import Proof
    from console.backup.policy import Retention
    from console.backup.store import Backup
    from console.report import CheckResult, Report
    from console.restore.plan import Plan
    from console.restore.status import Status

_WORDS = {
    Severity.OK: "ok",
    Severity.INFO: "note",
    Severity.WARNING: "warning",
    Severity.FAILURE: "failure",
    Severity.UNKNOWN: "not known",
}


def report(report: Report) -> str:
    """Every check and every finding of a readiness report."""
    from console.report import context_line

    lines = [f"{report.headline}.", f"Database: {context_line(report)}."]
    lines += [_check(result) for result in report.results]
    for result in report.results:
        lines += [
            line
            for finding in result.findings
            if finding.severity is not Severity.OK
            for line in _finding(finding, result.title)
        ]
    lines += [
        f"Silenced until {one.until}: {one.finding.check}, {one.finding.subject or 'all'}."
        f" Reason: {one.reason}"
        for one in report.silenced
    ]
    return _text(lines)


def _check(result: CheckResult) -> str:
    kind = "Advice" if result.is_advice else "Check"
    return f"{kind} {result.title}: {_WORDS[result.severity]}. {result.summary}."


def _finding(finding: Finding, title: str) -> Iterator[str]:
    subject = f", {finding.subject}" if finding.subject else ""
    yield f"{_WORDS[finding.severity].capitalize()}, {title}{subject}: {finding.message}"
    if finding.fix:
        yield f"To mend it: {' '.join(finding.fix.split())}"


def backups(found: Sequence[Backup], policy: Retention, now: datetime) -> str:
    """Every backup in a sentence, after how many there are."""
    noun = "backup" if len(found) == 1 else "backups"
    return _text([f"{count(len(found))} {noun}.", *(_backup(one, policy, now) for one in found)])


def _backup(backup: Backup, policy: Retention, now: datetime) -> str:
    from console.backup.retention import expires_at

    manifest = backup.manifest
    made = f"Backup {backup.id}: {backup.tier or 'tier not known'}, made {age(backup.made_at, now)}"
    if manifest is None:
        return f"{made}, damaged: {backup.problem}."
    expires = expires_at(backup, policy)
    stays = "held" if backup.record.held else f"expires {age(expires, now) if expires else 'never'}"
    note = f" Note: {manifest.note}." if manifest.note else ""
    return (
        f"{made}, {size(manifest.bytes)}, verified: {_proof(backup.verification)},"
        f" drilled: {_proof(backup.drill)}, {stays}.{note}"
    )


def _proof(proof: Proof | None) -> str:
    return "not yet" if proof is None else str(proof.verdict)


def plan(plan: Plan) -> str:
    """What has to be seen before a restore, then each step of it."""
    findings = plan.preflight.findings
    sound = sum(finding.severity is Severity.OK for finding in findings)
    lines = [f"{sound} of {len(findings)} preflight checks are sound."]
    for finding in findings:
        if finding.severity is not Severity.OK:
            lines += _finding(finding, "preflight")
    lines += [f"Step {number}: {line}" for number, line in enumerate(plan.lines, start=1)]
    return _text(lines)


def status(status: Status) -> str:
    """Where a restore stands, a sentence a step."""
    from console.restore.describe import status_text

    return _text(_without_columns(line) for line in status_text(status).splitlines())


def _without_columns(line: str) -> str:
    """'  done     close both' as 'Done: close both'."""
    head, gap, rest = line.strip().partition("  ")
    return f"{head.capitalize()}: {rest.strip()}" if gap else head


def _text(lines: Iterable[str]) -> str:
    """One line each, whatever a server put into a name, without what a terminal would obey."""
    return "".join("".join(c if c.isprintable() else " " for c in line) + "\n" for line in lines)
