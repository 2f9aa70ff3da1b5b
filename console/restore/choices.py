"""What could be restored: every backup with its proof in words, one of them recommended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from console.backup.manifest import Proof, Verdict
from console.backup.store import Backup, Store
from console.errors import ConsoleError
from console.findings import Severity
from console.restore.estimate import Estimate, estimate
from console.restore.source import is_safety, recommend
from console.units import age, duration

_SEVERITIES = {
    Verdict.PASS: Severity.OK,
    Verdict.FAIL: Severity.FAILURE,
    Verdict.COULD_NOT_VERIFY: Severity.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One backup as a person chooses by."""

    backup: Backup
    owner: str
    """The target whose backup it is."""
    is_own: bool
    """That is the target asked for."""
    severity: Severity
    proof: str
    """What is proven of it, in words."""
    age: str
    time: Estimate
    recommended: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    directory: Path
    """Where the target's own backups are kept."""
    choices: tuple[Choice, ...]
    severity: Severity
    verdict: str
    reason: str
    """Why the recommended one, or what to do when there is none."""

    @property
    def recommended(self) -> Choice | None:
        return next((choice for choice in self.choices if choice.recommended), None)


def offer(
    store: Store,
    target: str,
    now: datetime,
    *,
    everybody: bool = False,
    stores: Collection[str] = (),
) -> Choices:
    """The target's backups, the newest first; of all targets with `everybody` or if it has none.

    `stores` may hold copies, which are not asked here. What cannot be read is said in the verdict,
    never raised.
    """
    directory = store.directory(target)
    try:
        own = store.backups(target)
        shown = store.backups() if everybody or not own else own
    except ConsoleError as error:
        return Choices(directory, (), Severity.UNKNOWN, error.message, error.hint)
    chosen, reason = _recommended(store, target)
    choices = tuple(_choice(backup, target, shown, now, chosen) for backup in shown)
    severity, verdict, reason = _judge(chosen, reason, target, choices, now)
    if chosen is None and stores:
        name = min(stores)
        reason = f"The store '{name}' may have a copy: backup fetch latest --from {name}"
    return Choices(directory, choices, severity, verdict, reason)


def _recommended(store: Store, target: str) -> tuple[Backup | None, str]:
    try:
        return recommend(store, target)
    except ConsoleError as error:
        return None, error.hint


def _judge(
    chosen: Backup | None, reason: str, target: str, choices: tuple[Choice, ...], now: datetime
) -> tuple[Severity, str, str]:
    if chosen is not None:
        good = chosen.verdict is Verdict.PASS
        verdict = f"Recommended: the backup made {age(chosen.made_at, now)}"
        return (
            Severity.OK if good else Severity.UNKNOWN,
            f"{verdict}.",
            f"It is {reason}." + ("" if good else " Its preflight reads it whole first."),
        )
    if not choices:
        return Severity.FAILURE, f"There is no backup of '{target}'.", reason
    if not all(choice.is_own for choice in choices):
        return (
            Severity.WARNING,
            f"There is no usable backup of '{target}'.",
            "None is recommended; those of other targets are shown.",
        )
    return (
        Severity.FAILURE,
        f"Every backup of '{target}' is known to be bad.",
        "The details of each say what is wrong with it; a dump file can be named by its path.",
    )


def _choice(
    backup: Backup, target: str, others: Sequence[Backup], now: datetime, chosen: Backup | None
) -> Choice:
    manifest = backup.manifest
    owner = manifest.target if manifest else backup.path.parent.name
    kept_with = [other for other in others if other.path.parent == backup.path.parent]
    time = estimate(backup, manifest.database_bytes if manifest else None, kept_with)
    recommended = chosen is not None and chosen.path == backup.path
    made = age(backup.made_at, now)
    is_own = owner == target
    proof = _proof(backup) if is_own else f"of '{owner}': {_proof(backup)}"
    severity = _SEVERITIES[backup.verdict]
    return Choice(backup, owner, is_own, severity, proof, made, time, recommended)


def _proof(backup: Backup) -> str:
    manifest = backup.manifest
    if manifest is None:
        return f"damaged: {backup.problem}"
    verified, drill = backup.verification, backup.drill
    if drill is not None and drill.verdict is Verdict.FAIL:
        return _failed("drill", drill)
    if verified is not None and verified.verdict is Verdict.FAIL:
        return _failed("verification", verified)
    words = "verified" if backup.verdict is Verdict.PASS else "not verified"
    if is_safety(backup):
        return f"{words}; made {manifest.note}"
    if drill is not None and drill.verdict is Verdict.PASS:
        return f"{words}, drilled in {duration(drill.restore_seconds)}"
    return f"{words}, not drilled"


def _failed(kind: str, proof: Proof) -> str:
    return f"{kind} failed: {proof.reason}"
