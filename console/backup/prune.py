"""Carry out what retention decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from console.backup.manifest import Verdict
from console.backup.policy import Retention
from console.backup.retention import Decision, plan_prune
from console.backup.store import Backup, Store
from console.errors import ActionRefused


@dataclass(frozen=True, slots=True)
class Pruned:
    decisions: tuple[Decision, ...]
    removed: tuple[str, ...]
    """Ids; empty for a dry run."""
    freed_bytes: int


def prune(
    store: Store, target: str, policy: Retention, *, dry_run: bool, now: datetime | None = None
) -> Pruned:
    """Remove what may go, oldest first. Raises ActionRefused while another run holds the target.

    A backup that is being read stays, with that as its reason.
    """
    moment = now or datetime.now(UTC)
    if dry_run:
        return Pruned(plan_prune(store.backups(target), policy, moment), (), 0)
    with store.lock(target):
        store.sweep(target)
        decisions = list(plan_prune(store.backups(target), policy, moment))
        removed, freed = [], 0
        for place, decision in reversed(list(enumerate(decisions))):
            if decision.keep:
                continue
            try:
                store.remove(decision.backup)
            except ActionRefused as error:
                decisions[place] = replace(decision, keep=True, reason=error.message)
                continue
            removed.append(decision.backup.id)
            freed += decision.backup.manifest.bytes if decision.backup.manifest else 0
        return Pruned(tuple(decisions), tuple(removed), freed)


def remove_one(store: Store, target: str, backup: Backup, others: Sequence[Backup]) -> None:
    """Delete a backup that a person names. Raises ActionRefused for a held or the last good one."""
    if backup.record.held:
        raise ActionRefused(f"The backup {backup.id} is held.", f"`backup release {backup.id}` it.")
    good = [other for other in others if other.verdict is Verdict.PASS]
    if good == [backup]:
        raise ActionRefused(
            f"The backup {backup.id} is the only verified one.", "Make another one first."
        )
    with store.lock(target):
        store.remove(backup)
