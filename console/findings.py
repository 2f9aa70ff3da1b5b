"""What a check says about one object: how bad, the proof, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from console.errors import ExitCode


class Severity(StrEnum):
    """In order of what an operator reads first: FAILURE, UNKNOWN, WARNING, INFO, OK."""

    FAILURE = "failure"
    UNKNOWN = "unknown"
    """It could not be checked; never to be read as well."""
    WARNING = "warning"
    INFO = "info"
    OK = "ok"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was asked, what came back, and when."""

    asked: str
    """The SQL or command, or the comparison in words."""
    answer: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    """The check's stable id, e.g. schema.table-missing."""
    severity: Severity
    subject: str
    """The object it is about, as SQL would name it; '' for the database as a whole."""
    message: str
    """One sentence."""
    evidence: Evidence | None = None
    fix: str = ""
    """SQL, a setting or a command; '' when there is nothing to do."""


def in_brief(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Findings for scripts, beside figures that are their evidence."""
    return [
        {"check": f.check, "severity": str(f.severity), "message": f.message, "fix": f.fix}
        for f in findings
    ]


def worst(findings: list[Finding] | tuple[Finding, ...]) -> Severity:
    """The verdict over several findings; UNKNOWN for none, as nothing was checked."""
    if not findings:
        return Severity.UNKNOWN
    return min({finding.severity for finding in findings}, key=lambda severity: severity.rank)


def exit_code(verdict: Severity, *, fail_on_warning: bool = False) -> ExitCode:
    """0 all well, 1 warnings (when they count), 2 failures, 3 could not be checked."""
    if verdict is Severity.FAILURE:
        return ExitCode.FAILURES
    if verdict is Severity.UNKNOWN:
        return ExitCode.UNKNOWN
    if verdict is Severity.WARNING and fail_on_warning:
        return ExitCode.WARNINGS
    return ExitCode.OK
