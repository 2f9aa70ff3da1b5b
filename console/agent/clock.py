"""Time that a mistaken wall clock cannot mislead: the machine's uptime beside the date."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

Clock = Callable[[], "Moment"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was: by the wall clock, and by the uptime of one boot of the machine."""

    wall: datetime
    uptime: float
    """Seconds since boot, suspended time among them (CLOCK_BOOTTIME)."""
    boot: str
    """The kernel's id of that boot; '' where there is none, then only the wall clock counts."""

    @classmethod
    def now(cls) -> Moment:
        return cls(datetime.now(UTC), time.clock_gettime(time.CLOCK_BOOTTIME), _boot())

    def seconds_since(self, earlier: Moment) -> float:
        """Seconds that passed: by uptime within one boot, else by the wall clock, never below 0."""
        if self.boot and self.boot == earlier.boot:
            return max(0.0, self.uptime - earlier.uptime)
        return max(0.0, (self.wall - earlier.wall).total_seconds())

    def by_the_clock_of(self, now: Moment) -> datetime:
        """When this was, as the wall clock of `now` would have said it.

        Within one boot a clock that was set meanwhile does not matter.
        """
        if self.boot and self.boot == now.boot:
            return now.wall - timedelta(seconds=now.seconds_since(self))
        return self.wall

    def jumped(self, earlier: Moment) -> float:
        """Seconds by which the wall clock was set forward (or back, below 0) since `earlier`."""
        if not self.boot or self.boot != earlier.boot:
            return 0.0
        return (self.wall - earlier.wall).total_seconds() - (self.uptime - earlier.uptime)


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
