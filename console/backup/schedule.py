"""What is due, by the history alone: whoever asks (cron, a timer) need not be punctual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from console.backup.manifest import Tier, Verdict
from console.backup.policy import Schedule
from console.backup.store import Backup

_ORDER = (Tier.MONTHLY, Tier.WEEKLY, Tier.DAILY)
"""Each serves as those after it too."""


def serves(tier: Tier) -> tuple[Tier, ...]:
    """The scheduled tiers that a backup may have to serve as one of `tier`, longest-lived first."""
    return _ORDER[: _ORDER.index(tier) + 1]


def _made_at(backup: Backup) -> datetime:
    return backup.made_at


def due(
    backups: Sequence[Backup],
    schedule: Schedule,
    now: datetime,
    made_at: Callable[[Backup], datetime] = _made_at,
) -> Tier | None:
    """The tier to make now, the longest-lived of those due; None when nothing is.

    A tier is due when no backup of it, or of a longer-lived one, was made since its day, week or
    month began. So a missed run is made up for once, and failed ones are tried again. `now` is
    aware of its time zone; backups dated later than it are not believed. `made_at` says when one
    was made, for those who know better than what is written in it.
    """
    for tier in _ORDER:
        if tier not in schedule.tiers:
            continue
        enough = serves(tier)
        start = period_start(tier, schedule.hour, now)
        if not any(
            backup.tier in enough
            and start <= made_at(backup) <= now + timedelta(hours=1)
            and backup.verdict is not Verdict.FAIL
            for backup in backups
        ):
            return tier
    return None


def period_start(tier: Tier, hour: int, now: datetime) -> datetime:
    """When the day, week (from Monday) or month that `now` is in began, at that hour."""
    start = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    if start > now:
        start -= timedelta(days=1)
    if tier is Tier.WEEKLY:
        start -= timedelta(days=start.weekday())
    if tier is Tier.MONTHLY:
        start = start.replace(day=1)
    return start
