"""Sentences that every format writes alike."""

from __future__ import annotations

from collections.abc import Iterator

from console.findings import Finding, Severity
from console.reporting.model import Changes, Readiness

NO_SCORE = (
    "No score is given: a single number would hide which check failed. The counts are of checks"
    " that ran, each with its evidence below."
)
TALLIED = (
    (Severity.FAILURE, "failed"),
    (Severity.UNKNOWN, "could not be answered"),
    (Severity.WARNING, "warned"),
    (Severity.INFO, "passed with a note"),
    (Severity.OK, "passed"),
)


def tally(readiness: Readiness) -> list[tuple[Severity, str, int]]:
    """How many checks came out how, the worst first."""
    results = readiness.report.results
    counts = {severity: 0 for severity in Severity}
    for result in results:
        counts[result.severity] += 1
    return [(severity, words, counts[severity]) for severity, words in TALLIED]


def tally_sentence(readiness: Readiness) -> str:
    parts = [f"{number} {words}" for _severity, words, number in tally(readiness) if number]
    return f"{len(readiness.report.results)} checks: {', '.join(parts)}."


def changes_sentence(changes: Changes) -> str:
    if changes.remark:
        return changes.remark
    if changes.since is None:
        return "This is the first report of this database here; the next one says what changed."
    since = f"{changes.since:%Y-%m-%d %H:%M} UTC"
    if not changes.changes:
        return f"Nothing changed since the report of {since}."
    return f"Since the report of {since}:"


def evidence(readiness: Readiness) -> Iterator[tuple[str, str, str, str]]:
    """Check, what was asked, what came back, and when (UTC): for every check there is one."""
    for result in readiness.report.results:
        proofs = [f for f in result.findings if f.evidence is not None]
        if not proofs:
            at = f"{readiness.report.finished:%H:%M:%S}"
            yield result.id, result.meaning, result.summary, at
        for finding in proofs:
            yield _proof(finding)


def _proof(finding: Finding) -> tuple[str, str, str, str]:
    proof = finding.evidence
    if proof is None:
        return finding.check, "", finding.message, ""
    name = f"{finding.check} {finding.subject}".rstrip()
    return name, proof.asked, proof.answer, f"{proof.at:%H:%M:%S}"
