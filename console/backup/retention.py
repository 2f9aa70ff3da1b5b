"""Which backups may go: a pure decision for each, with its reason, and nothing good lost by it.

Only verified backups count. Age is measured from the newest verified backup rather than from
today, so that weeks of failing backups, or a clock set forward, expire nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.backup.manifest import Tier, Verdict
from console.backup.policy import Retention
from console.backup.store import Backup

_SHRUNK = 0.5
_ONE_RUN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Decision:
    backup: Backup
    keep: bool
    reason: str


def plan_prune(backups: Sequence[Backup], policy: Retention, now: datetime) -> tuple[Decision, ...]:
    """Decide for all backups of one target, the newest first.

    Kept are: what is held, the newest verified ones, every backup within its tier's time, each
    manual one, the newest before-deployment ones, and the last verified predecessor of every
    kept backup that is not verified or much smaller than it.
    """
    ordered = sorted(backups, key=lambda backup: backup.id, reverse=True)
    good = [backup for backup in ordered if backup.verdict is Verdict.PASS]
    today = min(now, good[0].made_at + _ONE_RUN) if good else now
    decisions = {
        backup.id: _decide(backup, good, policy, today) if good else _nothing_better(backup)
        for backup in ordered
    }
    for backup in ordered:
        needed = _needed_before(backup, good) if decisions[backup.id].keep else None
        if needed is not None and not decisions[needed.id].keep:
            reason = f"the last verified one before {backup.id}, which is in doubt"
            decisions[needed.id] = Decision(needed, True, reason)
    return tuple(decisions[backup.id] for backup in ordered)


def _nothing_better(backup: Backup) -> Decision:
    return Decision(backup, True, "no backup of this target is verified")


def _decide(backup: Backup, good: Sequence[Backup], policy: Retention, today: datetime) -> Decision:
    if backup.record.held:
        return Decision(backup, True, "held")
    if backup is good[0]:
        return Decision(backup, True, "the newest verified backup")
    if backup.tier in (Tier.MANUAL, None):
        return Decision(backup, True, "manual: kept until deleted")
    if backup in good[: policy.keep_at_least]:
        return Decision(backup, True, f"one of the {policy.keep_at_least} newest verified")
    if backup.id > good[0].id:
        return Decision(backup, True, "newer than the newest verified backup")
    if backup.tier is Tier.PRE_DEPLOYMENT:
        return _by_count(backup, good, policy)
    return _by_age(backup, policy, today)


def _by_count(backup: Backup, good: Sequence[Backup], policy: Retention) -> Decision:
    newer = [other for other in good if other.tier is Tier.PRE_DEPLOYMENT and other.id > backup.id]
    limit = policy.pre_deployment_count
    if len(newer) < limit:
        return Decision(backup, True, f"one of the {limit} newest before deployments")
    return Decision(backup, False, f"{len(newer)} newer ones before deployments are verified")


def _by_age(backup: Backup, policy: Retention, today: datetime) -> Decision:
    days = _days(policy, backup.tier)
    age = today - backup.made_at
    if age <= timedelta(days=days):
        return Decision(backup, True, f"{backup.tier}: kept for {days} days")
    state = "" if backup.verdict is Verdict.PASS else " and not verified"
    return Decision(backup, False, f"{backup.tier}: older than {days} days{state}")


def _days(policy: Retention, tier: Tier | None) -> int:
    return {
        Tier.WEEKLY: policy.weekly_days,
        Tier.MONTHLY: policy.monthly_days,
    }.get(tier or Tier.DAILY, policy.daily_days)


def _needed_before(backup: Backup, good: Sequence[Backup]) -> Backup | None:
    """The verified backup that is to stay because this one is not beyond doubt."""
    earlier = next((other for other in good if other.id < backup.id), None)
    if earlier is None:
        return None
    if backup.verdict is Verdict.COULD_NOT_VERIFY or shrunk(earlier, backup):
        return earlier
    return None


def shrunk(earlier: Backup, later: Backup) -> bool:
    """Whether the later backup holds less than half the tables or rows of the earlier one."""
    if earlier.manifest is None or later.manifest is None:
        return False
    before, after = earlier.manifest, later.manifest
    if len(after.tables or ()) < len(before.tables or ()) * _SHRUNK:
        return True
    if before.row_total is None or after.row_total is None:
        return False
    return after.row_total < before.row_total * _SHRUNK


def expires_at(backup: Backup, policy: Retention) -> datetime | None:
    """When age alone would let it go; None for what no age removes."""
    if backup.record.held or backup.tier in (Tier.MANUAL, Tier.PRE_DEPLOYMENT, None):
        return None
    return backup.made_at + timedelta(days=_days(policy, backup.tier))
