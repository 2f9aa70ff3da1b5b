"""pgBackRest's backups as a part of a target's history of backups, read without the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from console.errors import ConsoleError
from console.findings import Evidence, Finding, Severity
from console.pgbackrest.backrest import READ_SECONDS, Backrest
from console.pgbackrest.info import Backup, Stanza, read_stanza
from console.pgbackrest.proofs import Proofs, read_proofs
from console.pgbackrest.status import judge
from console.units import age


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a target's stanza; without one, why not."""

    stanza: Stanza | None = None
    """As read at `at`."""
    at: datetime | None = None
    proofs: Proofs = field(default_factory=Proofs)
    problem: str = ""
    """Why it could not be read just now; '' when it was."""
    hint: str = ""

    @property
    def backups(self) -> tuple[Backup, ...]:
        return self.stanza.backups if self.stanza else ()


async def read_history(
    backrest: Backrest,
    target: str,
    before: History | None = None,
    seconds: float = READ_SECONDS,
) -> History:
    """Ask pgBackRest, for at most `seconds`; nothing is raised.

    Where it does not answer, what was known `before` stays, with its time and the reason.
    """
    try:
        stanza = await read_stanza(backrest, seconds)
    except ConsoleError as error:
        known = before or History()
        return History(known.stanza, known.at, known.proofs, error.message, error.hint)
    proofs = await asyncio.to_thread(read_proofs, target, stanza)
    return History(stanza, datetime.now(UTC), proofs)


def findings(backrest: Backrest, history: History, now: datetime) -> tuple[Finding, ...]:
    """What is not well, or well, with the stanza; worst first. Each names pgBackRest."""
    found = []
    if history.problem:
        stale = f" (below: as read {age(history.at, now)})" if history.stanza else ""
        message = f"{history.problem.rstrip('.')}{stale}."
        evidence = Evidence("pgbackrest info --output=json", history.problem)
        found.append(
            Finding("pgbackrest.read", Severity.UNKNOWN, "", message, evidence, history.hint)
        )
    if history.stanza is not None:
        found += judge(backrest, history.stanza, None, history.proofs, now)
    return tuple(_named(finding) for finding in found)


def with_history(
    own: Sequence[Finding], has_own: bool, physical: Sequence[Finding]
) -> tuple[Finding, ...]:
    """The findings over both kinds: where pgBackRest does the work, no dump is no failure."""
    return (*(own if has_own else ()), *physical)


def _named(finding: Finding) -> Finding:
    if "pgBackRest" in finding.message:
        return finding
    words = finding.message
    return Finding(
        finding.check,
        finding.severity,
        finding.subject,
        f"pgBackRest: {words[:1].lower()}{words[1:]}",
        finding.evidence,
        finding.fix,
    )
