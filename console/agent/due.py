"""What is due, whatever was done to the clock: pure, and asked again and again.

What the agent did is remembered by the machine's uptime too. So the time since then is known also
when the wall clock was set meanwhile: forward does not make a backup twice, back does not miss one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from console.agent.clock import Moment
from console.backup.manifest import Tier, Verdict
from console.backup.policy import Schedule
from console.backup.schedule import due, period_start, serves
from console.backup.store import Backup

_SET = 300.0
"""Seconds by which a clock must differ to count as set; less is NTP at work."""
_HALF: Mapping[Tier, float] = {
    Tier.DAILY: 12 * 3600.0,
    Tier.WEEKLY: 3.5 * 86_400,
    Tier.MONTHLY: 15 * 86_400.0,
}
_EVERY = {"weekly": 7 * 86_400.0, "monthly": 30 * 86_400.0}
SOON = (60.0, 300.0, 900.0, 3600.0)
"""Seconds until what failed once, twice ... is tried again."""
LATER = (3600.0, 86_400.0)
"""The same for what takes long."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How often in a row something failed, and when last."""

    times: int
    at: Moment

    def again(self, now: Moment, waits: Sequence[float] = SOON) -> bool:
        """Whether it is time to try once more."""
        wait = waits[min(self.times, len(waits)) - 1]
        return now.seconds_since(self.at) >= wait


def backup_due(
    backups: Sequence[Backup], schedule: Schedule, made: Mapping[str, Moment], now: Moment
) -> Tier | None:
    """The tier to make now; `made` says when the agent's own backups were, by their ids.

    The last backup counts for the period of either time: as its clock was, or as the clock now is.
    Where the clock was set since, the next one comes after half a period at the earliest and a
    whole one at the latest, whichever clock was right.
    """

    newest = min(made.values(), key=now.seconds_since, default=None)

    def made_at(backup: Backup) -> datetime:
        moment = made.get(backup.id)
        if moment is None:
            return backup.made_at
        by_now = moment.by_the_clock_of(now)
        believed = moment is newest and moment.wall <= now.wall
        return max(moment.wall, by_now) if believed else by_now

    for tier in serves(Tier.DAILY):
        if tier.value not in schedule.tiers:
            continue
        only = replace(schedule, tiers=(tier.value,))
        is_due = due(backups, only, now.wall, made_at) is not None
        since_set = _since_set(backups, tier, made, now)
        if since_set is not None:
            is_due = since_set >= (_HALF[tier] if is_due else 2 * _HALF[tier])
        if is_due:
            return tier
    return None


def _since_set(
    backups: Sequence[Backup], tier: Tier, made: Mapping[str, Moment], now: Moment
) -> float | None:
    """Seconds since the last backup that serves as `tier`, if the clock was set since then."""
    moments = [
        made[backup.id]
        for backup in backups
        if backup.id in made and backup.tier in serves(tier) and backup.verdict is not Verdict.FAIL
    ]
    newest = min(moments, key=now.seconds_since, default=None)
    if newest is None or abs(now.jumped(newest)) <= _SET:
        return None
    return now.seconds_since(newest)


def clock_was_set(moments: Iterable[Moment], now: Moment) -> bool:
    """Whether the wall clock was set since one of these moments of the last half day."""
    return any(
        abs(now.jumped(moment)) > _SET and now.seconds_since(moment) < _HALF[Tier.DAILY]
        for moment in moments
    )


def daily_due(hour: int, last: Moment | None, now: Moment) -> bool:
    """Whether what is done once a day from `hour` on is due."""
    if last is None:
        return True
    if clock_was_set([last], now):
        return False
    return last.by_the_clock_of(now) < period_start(Tier.DAILY, hour, now.wall)


def drill_due(
    every: Literal["never", "weekly", "monthly"],
    last: Moment | None,
    proven_at: datetime | None,
    now: Moment,
) -> bool:
    """Whether a drill is due: by the agent's own last one, and by any that is on record."""
    if every == "never":
        return False
    if last is not None:
        return now.seconds_since(last) >= _EVERY[every]
    return proven_at is None or (now.wall - proven_at).total_seconds() >= _EVERY[every]
