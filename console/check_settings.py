"""The `checks` section of the settings: thresholds, what runs by default, and what is silenced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase

from console.findings import Finding


@dataclass(frozen=True, slots=True)
class Threshold:
    default: float
    meaning: str


THRESHOLDS: Mapping[str, Threshold] = {
    "index.unused.days": Threshold(7, "statistics must have counted for so long"),
    "index.unused.megabytes": Threshold(10, "from this size on it is a warning, else a note"),
    "index.bloat.percent": Threshold(40, "so much of the index is empty"),
    "index.bloat.megabytes": Threshold(10, "and so much would be freed"),
    "index.low-cardinality.rows": Threshold(10_000, "only of tables with so many rows"),
    "index.low-cardinality.values": Threshold(3, "at most so many different values"),
    "index.nulls.rows": Threshold(10_000, "only of tables with so many rows"),
    "index.nulls.percent": Threshold(95, "so many of the values are null"),
    "table.keys-exhausted.warn-percent": Threshold(70, "so much of the range used is a warning"),
    "table.keys-exhausted.fail-percent": Threshold(90, "so much of the range used is a failure"),
    "table.never-analyzed.rows": Threshold(1_000, "only tables with so many rows"),
    "table.bloat.percent": Threshold(40, "so much of the table is empty"),
    "table.bloat.megabytes": Threshold(20, "and so much would be freed"),
    "table.vacuum-due.rows": Threshold(10_000, "only with so many dead rows"),
    "table.missing-index.rows": Threshold(10_000, "only tables with so many rows"),
    "table.toast.megabytes": Threshold(100, "only from this size on"),
    "server.wraparound.warn-percent": Threshold(40, "so many of the transaction ids used"),
    "server.wraparound.fail-percent": Threshold(75, "so many of the transaction ids used"),
    "server.transactions.minutes": Threshold(15, "a transaction open for longer is a warning"),
    "server.prepared.minutes": Threshold(15, "a prepared transaction older is a warning"),
    "server.slots.megabytes": Threshold(1024, "WAL that an inactive slot may hold"),
    "server.connections.percent": Threshold(80, "so many of the connections taken"),
}
"""By check and name; the last word is the unit."""


class CheckName(str):
    """The id of a check, or a category."""

    __slots__ = ()

    @classmethod
    def from_text(cls, text: str) -> CheckName:
        """Raises ValueError for a check that does not exist."""
        from console.checks import CHECKS  # not before settings name one

        known = {check.id for check in CHECKS} | {check.category for check in CHECKS}
        if text not in known:
            raise ValueError("a check's id or category (medianest-console checks list)")
        return cls(text)


class ThresholdName(str):
    __slots__ = ()

    @classmethod
    def from_text(cls, text: str) -> ThresholdName:
        """Raises ValueError for a threshold that does not exist."""
        if text not in THRESHOLDS:
            raise ValueError("a threshold (medianest-console checks list names them)")
        return cls(text)


@dataclass(frozen=True, slots=True)
class Day:
    date: date

    @classmethod
    def from_text(cls, text: str) -> Day:
        try:
            return cls(date.fromisoformat(text.strip()))
        except ValueError:
            raise ValueError("a date such as 2027-01-31") from None


@dataclass(frozen=True, slots=True)
class Silence:
    """Findings that somebody decided to live with, for a time."""

    check: CheckName
    """What is silenced."""
    reason: str
    """Why it may be lived with; told when the silence is over."""
    until: Day
    """The last day on which it is silent."""
    object: str = "*"
    """The finding's subject; * and ? stand for anything."""

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("a reason")

    def covers(self, finding: Finding) -> bool:
        named = self.check in (finding.check, finding.check.partition(".")[0])
        return named and fnmatchcase(finding.subject, self.object)

    def is_over(self, today: date) -> bool:
        return today > self.until.date


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How the checks differ from what they do by themselves."""

    on: tuple[CheckName, ...] = ()
    """Checks or categories to run by default."""
    off: tuple[CheckName, ...] = ()
    """Checks or categories not to run unless named; an id in `on` comes before its category."""
    thresholds: dict[ThresholdName, float] = field(default_factory=dict)
    """Limits other than the defaults, by name."""
    silence: tuple[Silence, ...] = ()

    def __post_init__(self) -> None:
        for name, limit in self.thresholds.items():
            if limit < 0:
                raise ValueError(f"{name} not below 0")

    def threshold(self, name: str) -> float:
        return self.thresholds.get(ThresholdName(name), THRESHOLDS[name].default)

    def runs(self, check: str, *, by_default: bool) -> bool:
        """Whether a check runs when none is named."""
        category = check.partition(".")[0]
        for name in (check, category):
            if name in self.off:
                return False
            if name in self.on:
                return True
        return by_default


DEFAULTS = CheckSettings()
