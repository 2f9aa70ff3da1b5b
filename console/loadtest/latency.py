"""pgbench's log, a line a transaction, and the percentiles in it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from console.errors import CommandFailed


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one script took, in milliseconds; None where no run of it ended well."""

    name: str
    runs: int
    failed: int
    p50: float | None
    p95: float | None
    p99: float | None
    longest: float | None


def read_log(lines: Iterable[str], names: Sequence[str]) -> tuple[Latency, ...]:
    """`client transaction time script epoch microseconds` a line (pgbench manual, "Per-Transaction
    Logging"); time is in microseconds, or `failed` or `skipped`. Raises CommandFailed."""
    times: list[array[int]] = [array("q") for _ in names]
    failed = [0] * len(names)
    for line in lines:
        try:
            _client, _number, time, script = line.split()[:4]
            index = int(script)
            if index < 0:
                raise IndexError
            if time.isdecimal():
                times[index].append(int(time))
            elif time in ("failed", "skipped"):
                failed[index] += 1
            else:
                raise ValueError
        except (ValueError, IndexError, OverflowError) as error:
            raise CommandFailed(
                "A line of pgbench's log is not understood.",
                "Use pgbench of PostgreSQL 13 to 18.",
            ) from error
    return tuple(
        _latency(name, sorted(own), bad)
        for name, own, bad in zip(names, times, failed, strict=True)
    )


def _latency(name: str, ordered: Sequence[int], failed: int) -> Latency:
    return Latency(
        name,
        len(ordered),
        failed,
        percentile(ordered, 0.5),
        percentile(ordered, 0.95),
        percentile(ordered, 0.99),
        ordered[-1] / 1000 if ordered else None,
    )


def percentile(ordered: Sequence[int], share: float) -> float | None:
    """The smallest time that at least `share` of them did not exceed, in milliseconds.

    >>> percentile([1000, 2000, 3000, 4000], 0.5), percentile([1000], 0.99), percentile([], 0.5)
    (2.0, 1.0, None)
    """
    if not ordered:
        return None
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] / 1000
