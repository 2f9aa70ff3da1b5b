"""An audit as text, Markdown and JSON; a fix is YAML and is never wrapped."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator

from console.deploy.audit import Audit, Located
from console.findings import Finding, Severity
from console.report import WORDS, escaped, fenced, printable

FORMAT_VERSION = 1

_WIDTH = 80
_VERDICTS = {
    Severity.FAILURE: "NOT SAFE",
    Severity.UNKNOWN: "NOT FULLY JUDGED",
    Severity.WARNING: "WORKS, WITH WARNINGS",
    Severity.INFO: "SOUND",
    Severity.OK: "SOUND",
}
_COUNTED = {
    Severity.FAILURE: ("failure", "failures"),
    Severity.UNKNOWN: ("unknown", "unknown"),
    Severity.WARNING: ("warning", "warnings"),
    Severity.INFO: ("note", "notes"),
}


def headline(audit: Audit) -> str:
    """The verdict and the counts, e.g. NOT SAFE: 2 failures, 1 note."""
    counts = Counter(finding.severity for finding in audit.findings)
    parts = [
        f"{counts[severity]} {words[counts[severity] > 1]}"
        for severity, words in _COUNTED.items()
        if counts[severity]
    ]
    return f"{_VERDICTS[audit.verdict]}: {', '.join(parts) or 'nothing found'}"


def text(audit: Audit) -> str:
    lines = [headline(audit), *textwrap.wrap(_context(audit), _WIDTH)]
    for finding in audit.findings:
        lines += ["", *_lines(finding)]
    return "\n".join(lines) + "\n"


def _context(audit: Audit) -> str:
    judged = ", ".join(audit.databases) or "nothing"
    return printable(
        f"{', '.join(audit.files)}: judged {judged} by {audit.rules} rules;"
        f" {audit.at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{WORDS[finding.severity]:4}  {printable(finding.subject)}  [{finding.check}]"
    yield from textwrap.wrap(
        printable(finding.message),
        _WIDTH,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if finding.evidence is not None and finding.evidence.answer not in ("not so", "unknown"):
        yield f"      found  {printable(finding.evidence.answer)}"
    for line in printable(finding.fix).splitlines():
        yield f"        {line}"


def markdown(audit: Audit) -> str:
    lines = [f"# {headline(audit)}", "", escaped(_context(audit))]
    for finding in audit.findings:
        lines += ["", *_section(finding)]
    return "\n".join(lines) + "\n"


def _section(finding: Finding) -> Iterator[str]:
    yield f"## {WORDS[finding.severity]}: {escaped(finding.subject)}"
    yield ""
    yield f"{escaped(finding.message)} ({escaped(finding.check)})"
    if finding.evidence is not None:
        yield ""
        yield f"Asked: {escaped(finding.evidence.asked)}"
        yield ""
        yield f"Found: {escaped(finding.evidence.answer)}"
    if finding.fix:
        yield from ("", *fenced(finding.fix, "yaml"))


def as_json(audit: Audit) -> str:
    """One object; times are ISO 8601 in UTC.

    format: 1, raised when a key changes its meaning or goes. verdict: failure, unknown, warning,
    info or ok. headline: text. files: a list. databases: what was judged. rules: how many were
    asked. server_major: a number or null. at: a time. findings: a list, worst first, of {check,
    severity, file, line, subject, message, asked, answer, fix}.
    """
    document = {
        "format": FORMAT_VERSION,
        "verdict": audit.verdict.value,
        "headline": headline(audit),
        "files": list(audit.files),
        "databases": list(audit.databases),
        "rules": audit.rules,
        "server_major": audit.server.major if audit.server else None,
        "at": audit.at.isoformat(),
        "findings": [_object(located) for located in audit.located],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _object(located: Located) -> dict[str, object]:
    finding = located.finding
    return {
        "check": finding.check,
        "severity": finding.severity.value,
        "file": located.place.file,
        "line": located.place.line,
        "subject": finding.subject,
        "message": finding.message,
        "asked": finding.evidence.asked if finding.evidence else "",
        "answer": finding.evidence.answer if finding.evidence else "",
        "fix": finding.fix,
    }


FORMATS = {"text": text, "markdown": markdown, "json": as_json}
