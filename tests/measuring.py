"""Measuring by turns, and the page that the figures are kept in.

docs/benchmarks.md is its own store: a run replaces the rows it measured and keeps the others.
"""

from __future__ import annotations

import math
import os
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"

COMMAND = ".venv/bin/python -m pytest -m benchmark tests/benchmarks"

SECTIONS = (
    "The run",
    "Backup and restore",
    "Cut-over",
    "Start",
    "At rest",
    "Keys",
    "Watching",
    "Ten thousand tables",
)

_HEAD = f"""# Measured

Made by `{COMMAND}`; a part of it with `-k WORDS`, which keeps the other rows.
Every comparison is by turns in one run on one machine (ours, theirs, ours, theirs ...), so that
what else the machine does meets both. A ratio is the median of the rounds' own ratios; figures
are medians, with the lowest and the highest in brackets. The last column says when, and on what.

What it means: all runs on one machine, clients and servers. The servers are the embedded PostgreSQL
18 (Debian's 15 as well, where it is installed and named), with fsync, synchronous_commit,
full_page_writes and autovacuum off, and their data is in memory (/dev/shm) where that has 6 GiB to
spare, else, and for recovery always, on the disk of /tmp. Backups and archives are written to that
disk. So these figures compare what programs take; they do not foretell what your disks allow.

The whole command takes about three quarters of an hour, of which `MEASURE_MINUTES` (5 unless set)
are spent on memory; how long it took last is in the first table.
"""

_COLUMNS = ("Measured", "Figure", "Target", "", "Ours", "Beside", "Run")


@dataclass(frozen=True)
class Sample:
    """The same thing measured several times, in one unit."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    def percentile(self, share: float) -> float:
        """The value that this share of them is not above, such as 0.99."""
        return sorted(self.values)[math.ceil(share * len(self.values)) - 1]

    def words(self, unit: str) -> str:
        """The median and the spread, such as `1.52 s (1.50 to 1.61)`."""
        middle = f"{_figure(self.median)} {unit}"
        if len(self.values) == 1:
            return middle
        return f"{middle} ({_figure(min(self.values))} to {_figure(max(self.values))})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Pairs:
    """Two things measured by turns; what one round's pair suffered, both suffered."""

    ours: Sample
    theirs: Sample

    @property
    def ratio(self) -> Sample:
        rounds = zip(self.ours.values, self.theirs.values, strict=True)
        return Sample(tuple(ours / theirs for ours, theirs in rounds))


async def by_turns(
    rounds: int, ours: Callable[[], Awaitable[float]], theirs: Callable[[], Awaitable[float]]
) -> Pairs:
    """Measure both in each round, the other one first every second time; once unmeasured before."""
    await theirs()
    await ours()
    mine, other = [], []
    for number in range(rounds):
        if number % 2:
            other.append(await theirs())
            mine.append(await ours())
        else:
            mine.append(await ours())
            other.append(await theirs())
    return Pairs(Sample(tuple(mine)), Sample(tuple(other)))


async def seconds(work: Awaitable[object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def record(
    section: str,
    measured: str,
    figure: float,
    at_most: float | None,
    *,
    unit: str = "",
    ours: str = "",
    beside: str = "",
) -> bool:
    """Put a row on the page, and on the screen; whether the target is met (True without one)."""
    met = at_most is None or figure <= at_most
    suffix = f" {unit}" if unit else ""
    row = (
        measured,
        f"**{_figure(figure)}{suffix}**",
        f"at most {at_most:g}{suffix}" if at_most is not None else "",
        "" if at_most is None else "met" if met else "missed",
        ours,
        beside,
        _run(),
    )
    print(f"\n{measured}: {' | '.join(part for part in row[1:] if part)}")
    sections = _read(PAGE.read_text(encoding="utf-8") if PAGE.exists() else "")
    sections.setdefault(section, {})[measured] = row
    PAGE.write_text(_page(sections), encoding="utf-8")
    return met


def record_run(seconds: float) -> None:
    """How long the whole command took."""
    record("The run", "all benchmarks, one after another", seconds / 60, None, unit="min")


def _run() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M}, {os.cpu_count()} cores"


def _read(text: str) -> dict[str, dict[str, Sequence[str]]]:
    sections: dict[str, dict[str, Sequence[str]]] = {}
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        lines = [line for line in body.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
        sections[title] = {row[0]: row for row in rows}
    return sections


def _page(sections: dict[str, dict[str, Sequence[str]]]) -> str:
    parts = [_HEAD]
    for title in SECTIONS:
        if title in sections:
            lines = [_COLUMNS, ["---"] * len(_COLUMNS), *sections[title].values()]
            table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
            parts.append(f"## {title}\n\n{table}\n")
    return "\n".join(parts)
