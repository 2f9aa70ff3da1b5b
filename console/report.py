"""The readiness report: what was checked, the verdict, and its text, Markdown and JSON."""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from console.findings import Evidence, Finding, Severity, worst

FORMAT_VERSION = 1

_WIDTH = 80
_LINES_OF_A_CATEGORY = 6
"""Sound checks of a category with more of them are named together."""
_WORDS = {
    Severity.FAILURE: "FAIL",
    Severity.UNKNOWN: "UNKN",
    Severity.WARNING: "WARN",
    Severity.INFO: "INFO",
    Severity.OK: "OK",
}
_VERDICTS = {
    Severity.FAILURE: "NOT READY",
    Severity.UNKNOWN: "NOT FULLY CHECKED",
    Severity.WARNING: "READY, WITH WARNINGS",
    Severity.INFO: "READY",
    Severity.OK: "READY",
}
_COUNTED = {
    Severity.FAILURE: ("failure", "failures"),
    Severity.UNKNOWN: ("not checked", "not checked"),
    Severity.WARNING: ("warning", "warnings"),
    Severity.INFO: ("note", "notes"),
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's line: its count or figure, and what it found."""

    id: str
    title: str
    meaning: str
    summary: str
    findings: tuple[Finding, ...] = ()
    is_complete: bool = True
    """False when something is absent that another check's finding is about."""
    seconds: float = 0.0

    @property
    def severity(self) -> Severity:
        """The worst of its findings; a failure too when it is incomplete."""
        if not self.is_complete:
            return Severity.FAILURE
        return worst(self.findings) if self.findings else Severity.OK


@dataclass(frozen=True, slots=True)
class Report:
    target: str
    """Database and place, without user or password."""
    server_version: str
    role: str
    profile: str | None
    profile_reason: str
    """Why this profile was used, or none."""
    started: datetime
    finished: datetime
    results: tuple[CheckResult, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding once, worst first; a check that found nothing gives an OK one."""
        found: list[Finding] = []
        for result in self.results:
            found += result.findings
            if result.severity in (Severity.OK, Severity.INFO):
                found.append(
                    Finding(result.id, Severity.OK, "", f"{result.title}: {result.summary}.")
                )
        return tuple(sorted(found, key=lambda finding: finding.severity.rank))

    @property
    def verdict(self) -> Severity:
        return worst(self.findings)

    @property
    def headline(self) -> str:
        """The verdict in words, e.g. NOT READY: 1 failure, 2 warnings."""
        counts = Counter(finding.severity for finding in self.findings)
        parts = [
            f"{counts[severity]} {words[counts[severity] > 1]}"
            for severity, words in _COUNTED.items()
            if counts[severity]
        ]
        parts = parts or [f"all {len(self.results)} checks passed"]
        return f"{_VERDICTS[self.verdict]}: {', '.join(parts)}"


def text(report: Report) -> str:
    """80 columns: the verdict, a line a check, then each finding with its reason and its fix.

    Checks that are well share a paragraph where their category has many of them.
    """
    lines = [
        report.headline,
        *textwrap.wrap(_context(report), _WIDTH),
        "",
    ]
    condensed = _condensed(report.results)
    shown = [result for result in report.results if id(result) not in condensed]
    title_width = max((len(result.title) for result in shown), default=0)
    for result in shown:
        head = f"{_WORDS[result.severity]:4}  {result.title:{title_width}}  "
        lines += _wrapped(result.summary, head, " " * len(head))
    lines += _sound_lines(result for result in report.results if id(result) in condensed)
    for finding in report.findings:
        if finding.severity is not Severity.OK:
            lines += ["", *_finding_lines(finding)]
    return "\n".join(lines) + "\n"


def _condensed(results: Iterable[CheckResult]) -> set[int]:
    """The ids of results that share a line: the sound ones of a category that has many."""
    sound: dict[str, list[CheckResult]] = {}
    for result in results:
        if result.severity is Severity.OK:
            sound.setdefault(result.id.partition(".")[0], []).append(result)
    return {id(one) for many in sound.values() if len(many) > _LINES_OF_A_CATEGORY for one in many}


def _sound_lines(results: Iterable[CheckResult]) -> Iterable[str]:
    """A paragraph a category: how many of its checks are well, and which."""
    by_category: dict[str, list[str]] = {}
    for result in results:
        by_category.setdefault(result.id.partition(".")[0], []).append(result.title)
    for category, titles in by_category.items():
        words = f"{category}, {len(titles)} checks: {', '.join(titles)}"
        yield from _wrapped(words, f"{_WORDS[Severity.OK]:4}  ", " " * 6)


def _context(report: Report) -> str:
    seconds = (report.finished - report.started).total_seconds()
    return printable(
        f"{report.target}, PostgreSQL {report.server_version}, as {report.role};"
        f" {_profile(report)}; {report.started:%Y-%m-%d %H:%M:%S} UTC, {seconds:.1f} s"
    )


def _profile(report: Report) -> str:
    reason = f" ({report.profile_reason})" if report.profile_reason else ""
    return f"profile {report.profile}{reason}" if report.profile else f"no profile{reason}"


def _finding_lines(finding: Finding) -> list[str]:
    subject = printable(finding.subject or finding.check)
    lines = _wrapped(subject, f"{_WORDS[finding.severity]:4}  ", " " * 6)
    lines += _wrapped(printable(finding.message), " " * 6, " " * 6)
    if finding.evidence is not None:
        lines += _wrapped(printable(finding.evidence.asked), "      asked  ", " " * 13)
        lines += _wrapped(printable(finding.evidence.answer), "      found  ", " " * 13)
    for number, line in enumerate(printable(finding.fix).splitlines()):
        lines += _wrapped_sql(line, "      fix    " if number == 0 else " " * 13)
    return lines


def _wrapped(content: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        content,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


_SQL_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"'])+|["']""")


def _wrapped_sql(line: str, indent: str) -> list[str]:
    """Break SQL between words only, never within quotes; a broken comment stays a comment."""
    own = line[: len(line) - len(line.lstrip())]
    comment = "-- " if line.lstrip().startswith("--") else ""
    lines: list[str] = []
    current = indent + own
    is_empty = True
    for word in _SQL_WORD.findall(line):
        if not is_empty and len(current) + 1 + len(word) > _WIDTH:
            lines.append(current)
            current, is_empty = " " * len(indent) + own + (comment or "  "), True
        current += word if is_empty else f" {word}"
        is_empty = False
    return [*lines, current]


def printable(content: str) -> str:
    """Text from a server without what a terminal would obey; line breaks stay."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"
        for character in content
    )


def markdown(report: Report) -> str:
    """A heading with the verdict, a table of the checks, a section a finding."""
    lines = [
        f"# {_escaped(report.headline)}",
        "",
        _escaped(_context(report)),
        "",
        "| | Check | Result |",
        "|---|---|---|",
        *(
            f"| {_WORDS[result.severity]} | {_escaped(result.title)} | {_escaped(result.summary)} |"
            for result in report.results
        ),
    ]
    for finding in report.findings:
        if finding.severity is not Severity.OK:
            lines += ["", *_markdown_finding(finding)]
    return "\n".join(lines) + "\n"


def _markdown_finding(finding: Finding) -> Iterable[str]:
    subject = printable(finding.subject or finding.check)
    yield f"## {_WORDS[finding.severity]}: {_escaped(subject)}"
    yield ""
    yield _escaped(printable(finding.message))
    if finding.evidence is not None:
        yield ""
        yield f"Asked: {_escaped(printable(finding.evidence.asked))}"
        yield ""
        yield f"Found: {_escaped(printable(finding.evidence.answer))}"
    if finding.fix:
        fix = printable(finding.fix)
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", fix)), default=0))
        yield from ("", f"{fence}sql", fix, fence)


def _escaped(content: str) -> str:
    flat = " ".join(printable(content).split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", flat)


def as_json(report: Report) -> str:
    """One object, keys as follows; times are ISO 8601 in UTC.

    format: 1, raised when a key changes its meaning or goes. verdict: failure, unknown, warning,
    info or ok. headline: text. target, server_version, role: text. profile: text or null;
    profile_reason: text. started, finished: times. checks: a list of {id, title, meaning, severity,
    summary, complete, seconds}. findings: a list, worst first, of {check, severity, subject,
    message, evidence, fix}, where evidence is null or {asked, answer, at}; a check without
    findings has one of severity ok.
    """
    document = {
        "format": FORMAT_VERSION,
        "verdict": report.verdict.value,
        "headline": report.headline,
        "target": report.target,
        "server_version": report.server_version,
        "role": report.role,
        "profile": report.profile,
        "profile_reason": report.profile_reason,
        "started": report.started.isoformat(),
        "finished": report.finished.isoformat(),
        "checks": [_check_object(result) for result in report.results],
        "findings": [_finding_object(finding) for finding in report.findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _check_object(result: CheckResult) -> dict[str, object]:
    return {
        "id": result.id,
        "title": result.title,
        "meaning": result.meaning,
        "severity": result.severity.value,
        "summary": result.summary,
        "complete": result.is_complete,
        "seconds": round(result.seconds, 4),
    }


def _finding_object(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check,
        "severity": finding.severity.value,
        "subject": finding.subject,
        "message": finding.message,
        "evidence": _evidence_object(finding.evidence),
        "fix": finding.fix,
    }


def _evidence_object(evidence: Evidence | None) -> dict[str, str] | None:
    if evidence is None:
        return None
    return {
        "asked": evidence.asked,
        "answer": evidence.answer,
        "at": evidence.at.isoformat(),
    }


FORMATS = {"text": text, "markdown": markdown, "json": as_json}
