"""The sections about the database itself: what the checks say, and the figures beside them."""

from __future__ import annotations

import re
from collections import Counter

from console import units
from console.checks import CHECKS
from console.checks.grouping import counted
from console.findings import Severity
from console.lab.section import section as lab_section
from console.loadtest.result import section as load_section
from console.monitor.timings import Timing
from console.monitor.timings_reader import TimingsReading
from console.names import qualified
from console.profile import Profile
from console.report import CheckResult
from console.reporting.gather import Gathered
from console.reporting.model import Bar, Chart, Grid, Section

_STATEMENTS = 10
_SHOWN_TEXT = 160
_OF_TOOLS = re.compile(
    r"\b(?:FROM|JOIN)\s+(?:pg_catalog\.)?pg_\w+|^\s*COPY\b.*\bTO stdout|^\s*SET\b",
    re.IGNORECASE | re.DOTALL,
)

Results = tuple[CheckResult, ...]


def passed(results: Results) -> str:
    """How many checks found nothing against the database, and what the others found."""
    if not results:
        return "Nothing was checked."
    by_severity = Counter(result.severity for result in results)
    good = by_severity[Severity.OK] + by_severity[Severity.INFO]
    notes = f", {counted(by_severity[Severity.INFO], 'of them', 'of them')} with a note"
    parts = [f"{good} of {counted(len(results), 'check')} passed"]
    parts[0] += notes if by_severity[Severity.INFO] else ""
    for severity, word in (
        (Severity.FAILURE, "failed"),
        (Severity.WARNING, "warned"),
        (Severity.UNKNOWN, "could not be answered"),
    ):
        if by_severity[severity]:
            parts.append(f"{by_severity[severity]} {word}")
    return "; ".join(parts) + "."


def _without_profile(gathered: Gathered) -> tuple[str, ...]:
    if gathered.profile is not None:
        return ()
    reason = gathered.report.profile_reason or "none was named"
    return (f"There is no profile to compare with ({reason}); name one with --profile.",)


def schema(gathered: Gathered, results: Results) -> Section:
    unknown = _without_profile(gathered)
    return Section("schema", "Schema", passed(results), results, unknown=unknown)


def indexes(gathered: Gathered, results: Results) -> Section:
    own = next((result.summary for result in results if result.id == "schema.indexes"), "")
    summary = f"{own[:1].upper()}{own[1:]}. {passed(results)}".removeprefix(". ")
    grids: tuple[Grid, ...] = ()
    if gathered.profile is not None and gathered.profile.critical_indexes:
        grids = (_critical(gathered, gathered.profile, results),)
    return Section("indexes", "Indexes", summary, results, grids)


def _critical(gathered: Gathered, profile: Profile, results: Results) -> Grid:
    """Each index without which the application cannot work, and how it is."""
    told = {finding.subject: finding.message for r in results for finding in r.findings}
    could_not = any(r.findings and r.summary == "could not be checked" for r in results)
    absent = {
        finding.subject
        for result in gathered.report.results
        if result.id == "schema.tables"
        for finding in result.findings
    }
    rows = []
    for name, table in profile.tables.items():
        for index_name, index in table.indexes.items():
            if not index.is_critical:
                continue
            state = told.get(qualified(name.schema, index_name)) or told.get(index_name)
            if could_not or not results:
                state = "not checked"
            elif state is None:
                state = "its table is missing" if {str(name), name.name} & absent else "ok"
            rows.append((index_name, f"{name.name} {index.definition}", state))
    title = f"The {len(rows)} critical indexes of the profile"
    return Grid(title, ("Index", "On", "State"), tuple(rows))


def foreign_keys(results: Results) -> Section:
    return Section("foreign-keys", "Foreign keys and data", passed(results), results)


def migrations(results: Results) -> Section:
    found = "; ".join(result.summary for result in results)
    unknown = () if results else ("The database keeps no history of migrations.",)
    summary = f"{found[:1].upper()}{found[1:]}." if found else "No history of migrations."
    return Section("migrations", "Migrations", summary, results, unknown=unknown)


def performance(gathered: Gathered, results: Results) -> Section:
    reading = gathered.timings.value
    limit = gathered.profile.limits.mean_query_ms if gathered.profile else 50.0
    unknown: list[str] = []
    told = ""
    grids: tuple[Grid, ...] = ()
    charts: tuple[Chart, ...] = ()
    found = _of_applications(reading) if reading is not None else []
    if reading is None or reading.is_sampled or not found:
        reason = gathered.timings.reason or (reading.ready.message if reading else "")
        unknown.append(f"Single statements were not timed. {reason}".rstrip())
    else:
        grids, charts = _timings(found, limit)
        slow = sum(timing.mean_ms > limit for timing in found)
        told = f"{slow} of {counted(len(found), 'statement')} took more than"
        told += f" {limit:g} ms on average."
    if gathered.lab.value is not None:
        in_lab = lab_section(gathered.lab.value, gathered.at)
        grids, charts = (*grids, *in_lab.grids), (*charts, *in_lab.charts)
        told = f"{told} {in_lab.summary}"
    else:
        unknown.append(
            gathered.lab.reason
            or "What each index gains was not measured: medianest-console index-lab measures it."
        )
    if gathered.load.value is not None:
        under_load = load_section(gathered.load.value)
        results, grids = (*results, *under_load.results), (*grids, *under_load.grids)
        charts, told = (*charts, *under_load.charts), f"{told} {under_load.summary}"
    else:
        unknown.append(
            gathered.load.reason
            or "How it answers under load was not measured: medianest-console check --load does."
        )
    return Section(
        "performance",
        "Performance",
        f"{passed(results)} {told}".rstrip(),
        results,
        grids,
        charts,
        unknown=tuple(unknown),
    )


def _of_applications(reading: TimingsReading) -> list[Timing]:
    """Without what tools such as pg_dump ask; most time first."""
    own = [timing for timing in reading.timings if not _OF_TOOLS.search(timing.text or "")]
    return sorted(own, key=lambda timing: timing.counters.total_ms, reverse=True)


def _timings(found: list[Timing], limit: float) -> tuple[tuple[Grid, ...], tuple[Chart, ...]]:
    """The statements that took most time, each against the limit."""
    most = found[:_STATEMENTS]
    title = f"The {len(most)} statements that took most time"
    rows = tuple(_statement(timing, limit) for timing in most)
    columns = ("Mean", "Longest", "Calls", "Share", "Within", "Statement")
    bars = tuple(
        Bar(_short(timing.text, 44), timing.mean_ms, units.duration(timing.mean_ms / 1000))
        for timing in most
    )
    chart = Chart(
        f"Mean time of each, against {limit:g} ms",
        bars,
        limit,
        f"{limit:g} ms",
        is_logarithmic=True,
    )
    return (Grid(title, columns, rows),), (chart,)


def _statement(timing: Timing, limit: float) -> tuple[str, ...]:
    return (
        units.duration(timing.mean_ms / 1000),
        units.duration(timing.counters.max_ms / 1000),
        units.count(timing.counters.calls),
        units.percent(timing.share),
        "yes" if timing.mean_ms <= limit else "no",
        _short(timing.text, _SHOWN_TEXT),
    )


def _short(text: str | None, most: int) -> str:
    flat = " ".join((text or "(hidden from this role)").split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def security(results: Results) -> Section:
    numbers = {check.id: check.cis for check in CHECKS if check.cis}
    numbered = sum(result.id in numbers for result in results)
    summary = passed(results)
    if numbered:
        summary += f" {numbered} of them have a number in the CIS PostgreSQL benchmark."
    return Section("security", "Security", summary, results, numbers=numbers)


def settings(results: Results) -> Section:
    return Section("settings", "Settings", passed(results), results)
