"""What a load test found: as a section of a report, and kept for the reports that follow."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from console import units
from console.backup import jsonfile
from console.checks.grouping import counted
from console.errors import CommandFailed
from console.findings import Evidence, Finding, Severity
from console.loadtest.latency import Latency
from console.report import CheckResult
from console.report_file import write_report
from console.reporting.model import Bar, Chart, Grid, Section
from console.settings import state_directory

CHECK = "speed.load"


@dataclass(frozen=True, slots=True)
class LoadResult:
    at: datetime
    clients: int
    seconds: float
    """How long the clients worked."""
    limit_ms: float
    server_version: str
    place: str
    """Where: never the live database."""
    source: str
    """What was copied there."""
    latencies: tuple[Latency, ...]
    """By script."""

    @property
    def runs(self) -> int:
        return sum(latency.runs for latency in self.latencies)

    @property
    def per_second(self) -> float:
        return self.runs / self.seconds


def section(result: LoadResult) -> Section:
    """The figures, and a warning for each script that is too slow for one run in twenty."""
    found = tuple(finding for one in result.latencies for finding in _judged(one, result))
    worst = max((one.p95 for one in result.latencies if one.p95 is not None), default=None)
    shown = units.duration(None if worst is None else worst / 1000)
    summary = (
        f"{counted(result.clients, 'client')} for {units.duration(result.seconds)}:"
        f" {result.per_second:,.0f} runs a second, the slowest script's p95 {shown}"
        f" (limit {result.limit_ms:g} ms)"
    )
    check = CheckResult(
        CHECK,
        "Load",
        "Under the application's load every query is answered within the limit.",
        summary,
        found,
    )
    return Section("load", "Load", _sentence(result, summary), (check,), *_shown(result))


def _sentence(result: LoadResult, summary: str) -> str:
    return f"{summary}. Measured on {result.place}, on {result.source}, {result.at:%Y-%m-%d}."


def _judged(one: Latency, result: LoadResult) -> list[Finding]:
    asked = f"pgbench, {result.clients} clients, {units.duration(result.seconds)}"
    evidence = Evidence(
        asked, f"{one.runs} runs, p50 {_ms(one.p50)}, p95 {_ms(one.p95)}", result.at
    )
    if one.failed or not one.runs:
        message = f"{one.failed} of {one.failed + one.runs} runs failed."
        return [Finding(CHECK, Severity.FAILURE, one.name, message, evidence)]
    if one.p95 is not None and one.p95 > result.limit_ms:
        message = f"One run in twenty takes {_ms(one.p95)} or more, above {result.limit_ms:g} ms."
        fix = "-- medianest-console explain shows its plan; index-lab tries indexes"
        return [Finding(CHECK, Severity.WARNING, one.name, message, evidence, fix)]
    return []


def _ms(milliseconds: float | None) -> str:
    return units.duration(None if milliseconds is None else milliseconds / 1000)


def _shown(result: LoadResult) -> tuple[tuple[Grid, ...], tuple[Chart, ...]]:
    rows = tuple(
        (
            one.name,
            units.count(one.runs),
            _ms(one.p50),
            _ms(one.p95),
            _ms(one.p99),
            _ms(one.longest),
            "yes" if one.p95 is not None and one.p95 <= result.limit_ms else "no",
        )
        for one in result.latencies
    )
    columns = ("Script", "Runs", "p50", "p95", "p99", "Longest", "p95 within")
    grid = Grid(f"Latency against {result.limit_ms:g} ms", columns, rows)
    bars = tuple(Bar(one.name, one.p95 or 0.0, _ms(one.p95)) for one in result.latencies)
    chart = Chart(
        "p95 of each script", bars, result.limit_ms, f"{result.limit_ms:g} ms", is_logarithmic=True
    )
    return (grid,), (chart,)


def path_of(database: str) -> Path:
    """Where the last result of a database (a target's label) is kept."""
    digest = hashlib.sha256(database.encode()).hexdigest()[:16]
    return state_directory() / "load" / f"{digest}.json"


def keep(result: LoadResult, path: Path) -> None:
    """Raises ActionRefused."""
    content = json.dumps(jsonfile.encode(result), indent=1, ensure_ascii=False)
    write_report(path, content + "\n", make_directory=True)


def kept(path: Path) -> LoadResult | None:
    """The last result; None where there is none. Raises CommandFailed for a damaged one."""
    try:
        found = jsonfile.decode(json.loads(path.read_bytes()), LoadResult)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CommandFailed(
            f"The last load test in {path} cannot be read.", "Measure again, or move it away."
        ) from error
    if found.at.tzinfo is None or found.seconds <= 0:
        raise CommandFailed(f"The last load test in {path} is damaged.", "Measure again.")
    return LoadResult(
        found.at.astimezone(UTC),
        found.clients,
        found.seconds,
        found.limit_ms,
        found.server_version,
        found.place,
        found.source,
        found.latencies,
    )
