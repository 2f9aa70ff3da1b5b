"""The readiness report: what was checked, the verdict, and its text, Markdown and JSON."""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from console.findings import Evidence, Finding, Severity, worst

FORMAT_VERSION = 1

_WIDTH = 80
_LINES_OF_A_CATEGORY = 6
"""Sound checks of a category with more of them are named together."""
_FINDINGS_OF_A_CHECK = 20
"""The text names so many of a check; JSON has them all."""
WORDS = {
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
class Silenced:
    """A finding that the settings keep still, and why."""

    finding: Finding
    reason: str
    until: date


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
    is_advice: bool = False
    """Of what it finds, only a failure changes the verdict."""
    silenced: tuple[Silenced, ...] = ()

    @property
    def told(self) -> tuple[Finding, ...]:
        """Its findings, with an OK one where nothing is worse than a note."""
        if self.severity not in (Severity.OK, Severity.INFO):
            return self.findings
        well = Finding(self.id, Severity.OK, "", f"{self.title}: {self.summary}.")
        return (*self.findings, well)

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
    results: tuple[CheckResult, ...] = field(repr=False)
    """In no repr: asyncio makes one of each result that it ends with, here of megabytes."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding once, worst first; a check that found nothing gives an OK one."""
        found = [finding for result in self.results for finding in result.told]
        return tuple(sorted(found, key=lambda finding: finding.severity.rank))

    @property
    def deciding(self) -> tuple[Finding, ...]:
        """What the verdict is made of: all but advice, and failures of advice."""
        return tuple(
            finding
            for result in self.results
            for finding in result.told
            if not result.is_advice or finding.severity is Severity.FAILURE
        )

    @property
    def advice(self) -> tuple[Finding, ...]:
        """What is told beside the verdict, worst first."""
        found = [
            finding
            for result in self.results
            if result.is_advice
            for finding in result.findings
            if finding.severity not in (Severity.FAILURE, Severity.OK)
        ]
        return tuple(sorted(found, key=lambda finding: finding.severity.rank))

    @property
    def silenced(self) -> tuple[Silenced, ...]:
        return tuple(one for result in self.results for one in result.silenced)

    @property
    def verdict(self) -> Severity:
        return worst(self.deciding)

    @property
    def counts(self) -> Counter[Severity]:
        """How many findings of each severity."""
        return Counter(finding.severity for finding in self.findings)

    @property
    def headline(self) -> str:
        """The verdict in words, e.g. NOT READY: 1 failure, 2 warnings."""
        decided = sum(not result.is_advice for result in self.results)
        parts = _counted(self.deciding) or [f"all {decided} checks passed"]
        words = f"{_VERDICTS[self.verdict]}: {', '.join(parts)}"
        if self.advice:
            words += f"; advice: {', '.join(_counted(self.advice))}"
        if self.silenced:
            words += f"; {len(self.silenced)} silenced"
        return words


def _counted(findings: Iterable[Finding]) -> list[str]:
    """How many there are of each severity that is worth a word."""
    counts = Counter(finding.severity for finding in findings)
    return [
        f"{counts[severity]} {words[counts[severity] > 1]}"
        for severity, words in _COUNTED.items()
        if counts[severity]
    ]


def text(report: Report) -> str:
    """80 columns: the verdict, a line a check, then each finding with its reason and its fix.

    Checks that are well share a paragraph where their category has many of them; advice comes
    after the rest, its notes without proof and fix.
    """
    lines = [report.headline, *textwrap.wrap(context_line(report), _WIDTH), ""]
    lines += _result_lines([result for result in report.results if not result.is_advice])
    for finding in _few(report.deciding):
        lines += ["", *finding_lines(finding)]
    advice = [result for result in report.results if result.is_advice]
    if advice:
        lines += ["", "Advice, which does not change the verdict unless it fails", ""]
        lines += _result_lines(advice, most=1)
    brief = [finding for finding in report.advice if finding.severity is not Severity.WARNING]
    for finding in _few(f for f in report.advice if f.severity is Severity.WARNING):
        lines += ["", *finding_lines(finding)]
    if brief:
        lines += ["", "Notes; check --only ID, or --format markdown, gives proof and fix", ""]
    for finding in _few(brief):
        subject = f"{printable(finding.subject)}: " if finding.subject else ""
        words = f"{finding.check}: {subject}{printable(finding.message)}"
        lines += wrapped(words, f"{WORDS[finding.severity]:4}  ", " " * 6)
    lines += _silenced_lines(report)
    return "\n".join(lines) + "\n"


def _few(findings: Iterable[Finding]) -> list[Finding]:
    """What is not well, worst first; of one check and severity the first, then how many more."""
    kinds: dict[tuple[int, str], list[Finding]] = {}
    for finding in findings:
        if finding.severity is not Severity.OK:
            kinds.setdefault((finding.severity.rank, finding.check), []).append(finding)
    told = []
    for _, kind in sorted(kinds.items(), key=lambda item: item[0][0]):
        told += kind[:_FINDINGS_OF_A_CHECK]
        rest = len(kind) - _FINDINGS_OF_A_CHECK
        if rest > 0:
            message = f"{rest} more like these; --format json has them all."
            told.append(Finding(kind[0].check, kind[0].severity, "", message))
    return told


def _result_lines(results: Sequence[CheckResult], most: int = _LINES_OF_A_CATEGORY) -> list[str]:
    condensed = _condensed(results, most)
    shown = [result for result in results if id(result) not in condensed]
    title_width = max((len(result.title) for result in shown), default=0)
    lines: list[str] = []
    for result in shown:
        head = f"{WORDS[result.severity]:4}  {result.title:{title_width}}  "
        lines += wrapped(result.summary, head, " " * len(head))
    lines += _sound_lines(result for result in results if id(result) in condensed)
    return lines


def _silenced_lines(report: Report) -> list[str]:
    if not report.silenced:
        return []
    lines = ["", "Silenced by the settings", ""]
    for one in report.silenced:
        words = f"{one.finding.check}: {one.finding.subject or 'all'}, until {one.until}: "
        lines += wrapped(printable(words + one.reason), "      ", " " * 8)
    return lines


def _condensed(results: Iterable[CheckResult], most: int) -> set[int]:
    """The ids of results that share a line: the sound ones of a category that has many."""
    sound: dict[str, list[CheckResult]] = {}
    for result in results:
        if result.severity is Severity.OK:
            sound.setdefault(result.id.partition(".")[0], []).append(result)
    return {id(one) for many in sound.values() if len(many) > most for one in many}


def _sound_lines(results: Iterable[CheckResult]) -> Iterable[str]:
    """A paragraph a category: how many of its checks are well, and which."""
    by_category: dict[str, list[str]] = {}
    for result in results:
        by_category.setdefault(result.id.partition(".")[0], []).append(result.title)
    for category, titles in by_category.items():
        words = f"{category}, {len(titles)} checks: {', '.join(titles)}"
        yield from wrapped(words, f"{WORDS[Severity.OK]:4}  ", " " * 6)


def context_line(report: Report) -> str:
    """Which database, as whom, by which profile, when."""
    seconds = (report.finished - report.started).total_seconds()
    return printable(
        f"{report.target}, PostgreSQL {report.server_version}, as {report.role};"
        f" {_profile(report)}; {report.started:%Y-%m-%d %H:%M:%S} UTC, {seconds:.1f} s"
    )


def _profile(report: Report) -> str:
    reason = f" ({report.profile_reason})" if report.profile_reason else ""
    return f"profile {report.profile}{reason}" if report.profile else f"no profile{reason}"


def finding_lines(finding: Finding) -> list[str]:
    """80 columns: what it is about, the sentence, the evidence and the fix."""
    subject = printable(finding.subject or finding.check)
    lines = wrapped(subject, f"{WORDS[finding.severity]:4}  ", " " * 6)
    lines += wrapped(printable(finding.message), " " * 6, " " * 6)
    if finding.evidence is not None:
        lines += wrapped(printable(finding.evidence.asked), "      asked  ", " " * 13)
        lines += wrapped(printable(finding.evidence.answer), "      found  ", " " * 13)
    for number, line in enumerate(printable(finding.fix).splitlines()):
        lines += _wrapped_sql(line, "      fix    " if number == 0 else " " * 13)
    return lines


def wrapped(content: str, first: str, rest: str) -> list[str]:
    """Lines of 80 columns that begin with `first`, the following ones with `rest`."""
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
        f"# {escaped(report.headline)}",
        "",
        escaped(context_line(report)),
        "",
        "| | Check | Result |",
        "|---|---|---|",
        *(
            f"| {WORDS[result.severity]} | {escaped(result.title)} | {escaped(result.summary)} |"
            for result in report.results
        ),
    ]
    for finding in _few(report.findings):
        lines += ["", *markdown_finding(finding)]
    if report.silenced:
        lines += ["", "## Silenced by the settings", ""]
        lines += [
            f"- {escaped(one.finding.check)}: {escaped(one.finding.subject or 'all')},"
            f" until {one.until}: {escaped(one.reason)}"
            for one in report.silenced
        ]
    return "\n".join(lines) + "\n"


def markdown_finding(finding: Finding, level: int = 2) -> Iterable[str]:
    """A section below a heading of `level`."""
    subject = printable(finding.subject or finding.check)
    yield f"{'#' * level} {WORDS[finding.severity]}: {escaped(subject)}"
    yield ""
    yield escaped(printable(finding.message))
    if finding.evidence is not None:
        yield ""
        yield f"Asked: {escaped(printable(finding.evidence.asked))}"
        yield ""
        yield f"Found: {escaped(printable(finding.evidence.answer))}"
    if finding.fix:
        yield from ("", *fenced(finding.fix, "sql"))


def fenced(content: str, language: str) -> tuple[str, str, str]:
    """A block of code that nothing in it can end."""
    code = printable(content)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}{language}", code, fence


def escaped(content: str) -> str:
    """Text as one line of Markdown that means nothing but itself, also in a table."""
    flat = " ".join(printable(content).split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", flat)


def as_json(report: Report) -> str:
    """One object, keys as follows; times are ISO 8601 in UTC.

    format: 1, raised when a key changes its meaning or goes. verdict: failure, unknown, warning,
    info or ok; advice changes it only by a failure. headline: text. target, server_version, role:
    text. profile: text or null; profile_reason: text. started, finished: times. checks: a list of
    {id, title, meaning, severity, summary, complete, advice, seconds}. findings: a list, worst
    first, of {check, severity, subject, message, evidence, fix}, where evidence is null or {asked,
    answer, at}; a check without findings has one of severity ok. silenced: a list of {finding,
    reason, until}.
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
        "checks": [check_object(result) for result in report.results],
        "findings": [finding_object(finding) for finding in report.findings],
        "silenced": [
            {
                "finding": finding_object(one.finding),
                "reason": one.reason,
                "until": one.until.isoformat(),
            }
            for one in report.silenced
        ],
    }
    return _written(document)


def _written(document: Mapping[str, object]) -> str:
    """JSON with a line for each key, check and finding: indented all through it takes a second
    longer where there are ten thousand findings."""
    lines = []
    for key, value in document.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list) and value:
            items = ",\n".join(f"    {json.dumps(item, ensure_ascii=False)}" for item in value)
            text = f"[\n{items}\n  ]"
        lines.append(f'  "{key}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def check_object(result: CheckResult) -> dict[str, object]:
    """A check as `as_json` describes it."""
    return {
        "id": result.id,
        "title": result.title,
        "meaning": result.meaning,
        "severity": result.severity.value,
        "summary": result.summary,
        "complete": result.is_complete,
        "advice": result.is_advice,
        "seconds": round(result.seconds, 4),
    }


def finding_object(finding: Finding) -> dict[str, object]:
    """A finding as `as_json` describes it."""
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
