"""A fleet's lines in words, the same for the command and the screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from console import cluster_words
from console.findings import Finding, Severity
from console.fleet import Live, Member, worst
from console.units import age, counted, duration, size

_STATES = {
    Severity.FAILURE: "fails",
    Severity.UNKNOWN: "cannot be fully seen",
    Severity.WARNING: "has warnings",
    Severity.INFO: "is well",
    Severity.OK: "is well",
}
_PLURAL = {
    "fails": "fail",
    "cannot be fully seen": "cannot be fully seen",
    "has warnings": "have warnings",
    "is well": "are well",
    "is down": "are down",
}


def verdict(members: Sequence[Member]) -> tuple[Severity, str]:
    """The worst of all, and how many are in which state, the worst first."""
    states = Counter(
        "is down" if member.live is None else _STATES[member.verdict]
        for member in sorted(members, key=lambda m: (m.live is not None, m.verdict.rank))
    )
    said = [f"{n} {state if n == 1 else _PLURAL[state]}" for state, n in states.items()]
    return worst(members), f"{counted(len(members), 'target')}: {', '.join(said)}."


def state(member: Member) -> str:
    return "down" if member.live is None else str(member.verdict)


def version(live: Live | None) -> str:
    return live.server.version.partition(" ")[0] if live is not None else ""


def role(live: Live | None) -> str:
    """Primary, or standby with how far behind, as the server itself measures it."""
    if live is None:
        return ""
    place = live.place
    if not place.in_recovery:
        return "primary"
    if place.seconds_behind is None:
        return "standby, lag ?"
    if place.seconds_behind == 0:
        return "standby"
    return f"standby -{duration(place.seconds_behind)}"


def connections(live: Live | None) -> str:
    """Open ones, of those that ordinary roles may open."""
    if live is None:
        return ""
    sample = live.sample
    return f"{sample.connections}/{sample.max_connections - sample.reserved_connections}"


def database_size(live: Live | None) -> str:
    return size(live.database_bytes) if live is not None else ""


def proven(member: Member) -> str:
    """How old the newest backup is that was read whole."""
    return "never" if member.verified is None else age(member.verified.made_at, member.at)


def drilled(member: Member) -> str:
    """How old the newest backup is that was restored for trial."""
    return "never" if member.drilled is None else age(member.drilled.made_at, member.at)


def alerts(member: Member) -> str:
    if member.alerts is None:
        return "no agent"
    return str(len(member.alerts)) if member.alerts else "none"


def facts(member: Member) -> list[tuple[str, str]]:
    """What the line has no room for, each with its name."""
    told = [("database", member.label or "its entry in the settings cannot be used")]
    kinds = (
        ("proven", member.verified, proven(member)),
        ("drilled", member.drilled, drilled(member)),
    )
    backups = [f"{kind} {old}" if backup else f"none {kind}" for kind, backup, old in kinds]
    told.append(("backup", ", ".join(backups)))
    if member.live is not None:
        told += cluster_words.facts(member.live.place, member.live.cluster)
    return told


def reason(finding: Finding) -> str:
    """A finding in one line: what, and of what."""
    return f"{finding.subject}: {finding.message}" if finding.subject else finding.message
