"""What is due, also when the clock is set: nothing twice, nothing missed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from console.agent.clock import Moment
from console.agent.due import LATER, Failure, backup_due, clock_was_set, daily_due, drill_due
from console.backup.manifest import Record, Tier, Verdict
from console.backup.policy import Schedule
from console.backup.store import Backup

HOUR = 3600.0
DAILY = Schedule(tiers=("daily",))


@dataclass
class Machine:
    """A machine whose wall clock can be set, and the backups an agent makes on it."""

    wall: datetime = datetime(2030, 5, 1, 10, 0, tzinfo=UTC)
    uptime: float = 1000.0
    boot: str = "first"
    backups: list[Backup] = field(default_factory=list)
    made: dict[str, Moment] = field(default_factory=dict)
    real: list[float] = field(default_factory=list)
    """Uptimes at which backups were made."""

    @property
    def now(self) -> Moment:
        return Moment(self.wall, self.uptime, self.boot)

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.uptime += seconds

    def is_set(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)

    def asks(self, schedule: Schedule = DAILY) -> Tier | None:
        tier = backup_due(self.backups, schedule, self.made, self.now)
        if tier is not None:
            name = f"{self.wall:%Y%m%dT%H%M%SZ}-{tier}"
            # Not in order on purpose: ids of a clock that went back are another matter.
            self.backups.append(_sound(name))
            self.made[name] = self.now
            self.real.append(self.uptime)
        return tier


class _Sound(Backup):
    @property
    def made_at(self) -> datetime:
        return datetime.strptime(self.id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    @property
    def verdict(self) -> Verdict:

        return Verdict.PASS


def _sound(name: str) -> Backup:
    return _Sound(Path(name), None, Record())


def test_a_backup_is_due_once_a_day() -> None:
    machine = Machine()
    asked = []
    for _ in range(24 * 12 * 3):
        asked.append((machine.wall, machine.asks()))
        machine.passes(300)
    made = [at for at, tier in asked if tier]
    assert [at.hour for at in made] == [10, 2, 2, 2]


@pytest.mark.parametrize("hours", [-72, -24, -9, -3, -1, 1, 3, 9, 24, 72, 24 * 40])
def test_setting_the_clock_makes_no_backup_twice_and_misses_none(hours: float) -> None:
    machine = Machine()
    for n in range(24 * 7):
        machine.asks()
        machine.passes(HOUR)
        if n == 50:
            machine.is_set(hours * HOUR)
    gaps = [later - earlier for earlier, later in itertools.pairwise(machine.real)]
    assert max(gaps) <= 24 * HOUR
    assert len(machine.real) <= 7 + 2


@hypothesis_settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 24 * 8), st.integers(-200, 200)), max_size=5))
def test_no_way_of_setting_the_clock_doubles_or_misses(jumps: list[tuple[int, int]]) -> None:
    machine = Machine(wall=datetime(2030, 5, 1, 2, 30, tzinfo=UTC))
    at = dict(jumps)
    was_set = [(1000.0 + (n + 1) * HOUR) for n in at if at[n]]
    for n in range(24 * 8):
        machine.asks()
        machine.passes(HOUR)
        machine.is_set(at.get(n, 0) * HOUR)
    for earlier, later in itertools.pairwise(machine.real):
        assert later - earlier <= 24 * HOUR
        if sum(at.values()) and any(earlier < moment <= later for moment in was_set):
            assert later - earlier >= 12 * HOUR or _is_back(at, earlier, later)
    assert len(machine.real) <= 8 + 1 + len(was_set)


def _is_back(jumps: dict[int, int], earlier: float, later: float) -> bool:
    """Whether the clock was put right again in between."""
    between = [by for n, by in jumps.items() if earlier < 1000.0 + (n + 1) * HOUR <= later]
    return sum(between) == 0


def test_a_clock_that_is_set_back_and_forth_makes_one_backup_for_a_day() -> None:
    machine = Machine(wall=datetime(2030, 5, 1, 2, 0, tzinfo=UTC))
    assert machine.asks() is Tier.DAILY
    machine.passes(23 * HOUR)
    machine.is_set(3 * HOUR)
    assert machine.asks() is Tier.DAILY
    machine.is_set(-3 * HOUR)
    machine.passes(HOUR)
    assert machine.asks() is None


def test_a_missed_run_is_made_up_for_once_after_a_reboot() -> None:
    machine = Machine(wall=datetime(2030, 5, 1, 2, 0, tzinfo=UTC))
    assert machine.asks() is Tier.DAILY
    machine.passes(5 * 24 * HOUR)
    machine.boot, machine.uptime = "second", 10.0
    assert machine.asks() is Tier.DAILY
    assert machine.asks() is None


def test_tiers_serve_as_those_after_them() -> None:
    machine = Machine()
    schedule = Schedule()
    assert [machine.asks(schedule) for _ in range(3)] == [Tier.MONTHLY, None, None]
    machine.passes(24 * HOUR)
    assert machine.asks(schedule) is Tier.DAILY


def test_what_failed_is_tried_again_later_and_later() -> None:
    start = Moment(datetime(2030, 5, 1, tzinfo=UTC), 0.0, "boot")
    for times, wait in ((1, 60), (2, 300), (3, 900), (4, 3600), (9, 3600)):
        failure = Failure(times, start)
        assert not failure.again(Moment(start.wall, wait - 1, "boot"))
        assert failure.again(Moment(start.wall, wait, "boot"))
    assert not Failure(2, start).again(Moment(start.wall, 3600, "boot"), LATER)


def test_the_daily_check_follows_the_hour_and_no_set_clock() -> None:
    last = Moment(datetime(2030, 5, 1, 4, 0, tzinfo=UTC), 0.0, "boot")
    assert daily_due(4, None, last)
    assert not daily_due(4, last, Moment(last.wall + timedelta(hours=23), 23 * HOUR, "boot"))
    assert daily_due(4, last, Moment(last.wall + timedelta(hours=24), 24 * HOUR, "boot"))
    jumped = Moment(last.wall + timedelta(hours=30), HOUR, "boot")
    assert clock_was_set([last], jumped)
    assert not daily_due(4, last, jumped)


def test_a_drill_is_due_by_the_time_that_passed() -> None:
    last = Moment(datetime(2030, 5, 1, tzinfo=UTC), 0.0, "boot")
    week = 7 * 24 * HOUR
    assert drill_due("weekly", None, None, last)
    assert not drill_due("never", None, None, last)
    assert not drill_due("weekly", None, last.wall - timedelta(days=6), last)
    assert drill_due("weekly", last, None, Moment(last.wall, week, "boot"))
    assert not drill_due("monthly", last, None, Moment(last.wall + 9 * timedelta(7), week, "boot"))
