"""Which PostgreSQL releases are maintained, as far as this version of the console knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Self

from console import documents

ROUND_DAYS = 100
"""The project releases minor versions every three months (its roadmap); a little more."""


@dataclass(frozen=True, slots=True)
class Day:
    """A date in a YAML file."""

    on: date

    @classmethod
    def from_text(cls, text: str) -> Self:
        try:
            return cls(date.fromisoformat(text))
        except ValueError as error:
            raise ValueError("a date like 2026-05-14") from error

    def __str__(self) -> str:
        return self.on.isoformat()


@dataclass(frozen=True, slots=True)
class Major:
    newest: int
    """The newest minor release as of the table's date."""
    end: Day
    """The day after which no more fixes come."""
    seen: int | None = None
    """A newer minor release that is known to exist."""

    @property
    def newest_known(self) -> int:
        return max(self.newest, self.seen or 0)


@dataclass(frozen=True, slots=True)
class Releases:
    as_of: Day
    majors: dict[str, Major]

    def major(self, number: int) -> Major | None:
        """What is known of a major version; None for one that is newer or older than the table."""
        return self.majors.get(str(number))

    def age_days(self, today: date) -> int:
        return (today - self.as_of.on).days

    def is_old(self, today: date) -> bool:
        """Whether another round of minor releases is due since."""
        return self.age_days(today) > ROUND_DAYS


@cache
def known() -> Releases:
    """The table that this version of the console came with."""
    text = files("console").joinpath("releases.yaml").read_text("utf-8")
    return documents.parse(text, Releases, "releases.yaml")
