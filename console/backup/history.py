"""What the history of a target's backups says beyond each single one: gaps, growth, shrinking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from console.backup.manifest import Proof, Tier, Verdict
from console.backup.retention import shrunk
from console.backup.store import Backup, Store
from console.errors import ConsoleError
from console.findings import Evidence, Finding, Severity
from console.units import age, duration, size

OBJECTIVE_SECONDS = 300.0
"""An emergency restore is to take less than five minutes."""

STALE = timedelta(hours=36)
"""Age from which a newest backup is too old to be called recent."""
_GAP = timedelta(hours=49)
_DRILL_STALE = timedelta(days=7)
_GROWTH = 1.5


class Proven(Protocol):
    """A backup that something is proven of: a dump, or another tool's."""

    @property
    def id(self) -> str: ...

    @property
    def made_at(self) -> datetime: ...

    @property
    def drill(self) -> Proof | None: ...


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest backups that something is proven of."""

    verified: Proven | None
    drilled: Proven | None


def newest_proven(store: Store, target: str) -> Newest:
    """What the backup directory can prove of a target; nothing when it cannot be read."""
    try:
        backups = store.backups(target)
    except ConsoleError:
        return Newest(None, None)
    verified = (backup for backup in backups if backup.verdict is Verdict.PASS)
    drilled = (b for b in backups if b.drill is not None and b.drill.verdict is Verdict.PASS)
    return Newest(next(verified, None), next(drilled, None))


def remarks(backups: Sequence[Backup], now: datetime) -> tuple[Finding, ...]:
    """Findings over one target's backups, the newest first; empty history is a failure."""
    good = [backup for backup in backups if backup.verdict is Verdict.PASS]
    if not good:
        what = "no backup at all" if not backups else f"{len(backups)} backups, none verified"
        fix = (
            "medianest-console backup create" if not backups else "medianest-console backup verify"
        )
        return (_finding("verified", Severity.FAILURE, f"There is {what}.", what, fix),)
    return (
        _freshness(good[0], now),
        *_failures(backups),
        *_drills(backups, now),
        *_steps(good),
        *_gaps(backups),
    )


def _finding(name: str, severity: Severity, message: str, answer: str, fix: str = "") -> Finding:
    evidence = Evidence("the manifests of the backup directory", answer)
    return Finding(f"backup.{name}", severity, "", message, evidence, fix)


def _freshness(newest: Backup, now: datetime) -> Finding:
    old = now - newest.made_at > STALE
    return _finding(
        "verified",
        Severity.WARNING if old else Severity.OK,
        f"The newest verified backup was made {age(newest.made_at, now)}.",
        newest.id,
        "medianest-console backup create --tier daily" if old else "",
    )


def _failures(backups: Sequence[Backup]) -> list[Finding]:
    newest = backups[0]
    if newest.verdict is Verdict.PASS:
        return []
    severity = Severity.FAILURE if newest.verdict is Verdict.FAIL else Severity.UNKNOWN
    proof = newest.drill if newest.drill and newest.drill.verdict is Verdict.FAIL else None
    proof = proof or newest.verification
    reason = newest.problem or (proof.reason if proof else "it was not verified yet")
    return [
        _finding(
            "newest",
            severity,
            f"The newest backup {newest.id} is not good: {reason}.",
            str(newest.verdict),
            f"medianest-console backup verify {newest.id}",
        )
    ]


def _drills(backups: Sequence[Backup], now: datetime) -> list[Finding]:
    drilled = [
        backup.drill
        for backup in backups
        if backup.drill is not None and backup.drill.verdict is Verdict.PASS
    ]
    fix = "medianest-console backup drill latest"
    if not drilled:
        return [
            _finding("drill", Severity.WARNING, "No backup was ever restored in a drill.", "0", fix)
        ]
    newest = max(drilled, key=lambda proof: proof.at)
    seconds = newest.restore_seconds or 0.0
    slow = seconds > OBJECTIVE_SECONDS
    stale = now - newest.at > _DRILL_STALE
    return [
        _finding(
            "drill",
            Severity.WARNING if stale or slow else Severity.OK,
            f"The last good drill was {age(newest.at, now)}; it restored in {duration(seconds)}"
            + (", more than the 5 minutes aimed for." if slow else "."),
            newest.place,
            fix if stale else "",
        )
    ]


def _steps(good: Sequence[Backup]) -> list[Finding]:
    """The newest verified backup against the one before."""
    if len(good) < 2:
        return []
    later, earlier = good[0], good[1]
    if later.manifest is None or earlier.manifest is None:
        return []
    sizes = f"{size(earlier.manifest.bytes)}, then {size(later.manifest.bytes)}"
    if shrunk(earlier, later):
        message = f"{later.id} holds less than half of what {earlier.id} held."
        return [_finding("shrunk", Severity.WARNING, message, sizes)]
    if later.manifest.bytes > earlier.manifest.bytes * _GROWTH + 1024 * 1024:
        return [_finding("grown", Severity.INFO, f"{later.id} grew by more than half.", sizes)]
    return []


def _gaps(backups: Sequence[Backup]) -> list[Finding]:
    """Times without any backup, where there are daily ones."""
    if not any(backup.tier is Tier.DAILY for backup in backups):
        return []
    regular = [b for b in backups if b.tier in (Tier.DAILY, Tier.WEEKLY, Tier.MONTHLY)]
    newest_days = [b for b in regular if regular[0].made_at - b.made_at < timedelta(days=14)]
    return [
        _finding(
            "gap",
            Severity.INFO,
            f"There was none for {duration((later.made_at - earlier.made_at).total_seconds())}"
            f" before {later.id}.",
            f"after {earlier.id}",
        )
        for later, earlier in pairwise(newest_days)
        if later.made_at - earlier.made_at > _GAP
    ]
