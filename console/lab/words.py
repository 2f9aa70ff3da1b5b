"""An experiment in words: the verdict first, then what it rests on."""

from __future__ import annotations

from console import units
from console.lab.result import IndexResult, LabResult, PlannedUse, QueryResult
from console.lab.spread import HOW, Change, Verdict
from console.lab.writes import WriteCost
from console.units import counted


def signed(share: float) -> str:
    """A change of time as it is written in tables.

    >>> signed(0.98), signed(-0.167), signed(0.0)
    ('-98.0%', '+16.7%', '0.0%')
    """
    text = f"{-share * 100:+.1f}%"
    return "0.0%" if text in ("+0.0%", "-0.0%") else text


def interval(change: Change) -> str:
    """Its ends, the better one first.

    >>> interval(Change(0.5, 0.4, 0.6))
    '-60.0% to -40.0%'
    """
    return f"{signed(change.high)} to {signed(change.low)}"


def rounded(change: Change) -> str:
    """The interval in little room.

    >>> rounded(Change(0.5, 0.4, 0.612))
    '-61 to -40%'
    """
    return f"{-change.high * 100:+.0f} to {-change.low * 100:+.0f}%"


def headline(result: LabResult) -> str:
    """What came of it, in one line."""
    tried = counted(len(result.indexes), "index", "indexes")
    if result.overall is None:
        return f"Nothing could be measured with {tried}"
    change = result.overall
    if change.verdict is Verdict.SAME:
        return f"No difference with {tried} ({interval(change)})"
    if change.verdict is Verdict.FASTER:
        return f"{abs(change.share):.1%} less time with {tried}"
    return f"{abs(change.share):.1%} MORE time with {tried}"


def tally(result: LabResult) -> str:
    """How the figure was reckoned, and how many statements gained."""
    if result.overall is None:
        return "No statement could be measured."
    how = f"95 % interval {interval(result.overall)}; each statement counts as often as it runs."
    return f"{how} {counts(result)}"


def counts(result: LabResult) -> str:
    """How many statements gained, in one line."""
    mean = signed(result.mean_share) if result.mean_share is not None else units.UNKNOWN
    return (
        f"Of {counted(len(result.queries), 'statement')} {result.count(Verdict.FASTER)} took less"
        f" time, {result.count(Verdict.SLOWER)} more, {result.count(Verdict.SAME)} the same;"
        f" plain mean {mean}."
    )


def conditions(result: LabResult) -> str:
    """Where, when, on what: a figure holds for these alone."""
    return (
        f"Measured {result.at:%Y-%m-%d %H:%M} UTC on {result.place} ({result.server_version}), on"
        f" {result.source}, with {result.workload}; {result.rounds} rounds in"
        f" {units.duration(result.seconds)}. Another number of rows gives other figures."
    )


METHOD = (
    "Two copies differ in these indexes alone. A time is the server's own planning and execution,"
    f" without network; writes are rolled back, and triggers of users are off. {HOW}"
)


def milliseconds(amount: float) -> str:
    return units.duration(amount / 1000)


def ways(query: QueryResult) -> str:
    """How the plan changed; '' where it reads the same way."""
    if query.scans_without == query.scans_with:
        return ""
    gone = [scan for scan in query.scans_without if scan not in query.scans_with]
    new = [scan for scan in query.scans_with if scan not in query.scans_without]
    return f"{' + '.join(gone) or 'the same'} → {' + '.join(new) or 'the rest'}"


def gained(index: IndexResult) -> str:
    """Its verdict, with the statements it is about."""
    names = served(index)
    return f"{index.verdict}: {names}" if names else index.verdict


def served(index: IndexResult) -> str:
    """Names of the statements that win by it, else of those that use it all the same."""
    if index.faster or index.used_by:
        return "; ".join(index.faster or index.used_by)
    return "; ".join(planned(use) for use in index.planned)


def planned(use: PlannedUse) -> str:
    """A plan's estimated cost without the index and with it; no time."""
    costs = f"{units.count(use.cost_without)} to {units.count(use.cost_with)}"
    return f"{use.name} (estimated cost {costs}, not timed)"


def written(cost: WriteCost) -> str:
    """What a row's new version costs with the indexes and without."""
    before, after = (f"{us:.1f} µs" for us in (cost.without_us, cost.with_us))
    return f"{before} to {after} a row ({interval(cost.change)})"


def taxed(index: IndexResult) -> str:
    """What it costs writers, beside the time."""
    parts = []
    if index.write is not None:
        parts.append(f"a write takes {written(index.write)}")
    if index.newly_indexed:
        names = ", ".join(index.newly_indexed)
        parts.append(f"an update of {names} is not HOT any more")
    return "; ".join(parts)
