"""How sure a difference is: medians over rounds, and an interval by resampling the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

RESAMPLES = 1_000
CONFIDENCE = 0.95
MEANINGFUL = 0.05
"""A smaller change is none that anybody would keep an index for."""

HOW = (
    "Each figure is a median over the rounds. Intervals are 95 % bootstrap intervals: the rounds,"
    f" which ran with and without the indexes by turns, are drawn again {RESAMPLES} times."
)


class Verdict(StrEnum):
    FASTER = "faster"
    SLOWER = "slower"
    SAME = "no difference"
    """Within the spread, or less than 5 %."""


@dataclass(frozen=True, slots=True)
class Change:
    """A share of time that is gone: 0.8 takes a fifth of what it took, -1 twice as long."""

    share: float
    low: float
    high: float
    """The interval's ends."""

    @property
    def verdict(self) -> Verdict:
        if self.low > 0 and self.share >= MEANINGFUL:
            return Verdict.FASTER
        if self.high < 0 and self.share <= -MEANINGFUL:
            return Verdict.SLOWER
        return Verdict.SAME


@dataclass(frozen=True, slots=True)
class Timed:
    """One thing timed in every round, in milliseconds: without the indexes, and with them."""

    without: tuple[float, ...]
    with_them: tuple[float, ...]
    weight: float = 1.0

    @property
    def without_ms(self) -> float:
        return statistics.median(self.without)

    @property
    def with_ms(self) -> float:
        return statistics.median(self.with_them)


def change(timed: Sequence[Timed]) -> Change:
    """How much less time all of it takes, each by its weight; rounds are resampled together."""
    rounds = min(len(one.without) for one in timed)
    drawn = sorted(
        _share(timed, [random.randrange(rounds) for _ in range(rounds)])
        for random in [Random(20)]
        for _ in range(RESAMPLES)
    )
    outside = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return Change(_share(timed, range(rounds)), drawn[outside], drawn[-1 - outside])


def _share(timed: Sequence[Timed], rounds: Sequence[int]) -> float:
    without = sum(one.weight * statistics.median([one.without[n] for n in rounds]) for one in timed)
    with_them = sum(
        one.weight * statistics.median([one.with_them[n] for n in rounds]) for one in timed
    )
    return 1 - with_them / without if without > 0 else 0.0
