"""Everything about one index, for its dialog."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console import units
from console.index_health import IndexOverview, IndexRecord
from console.report import printable
from screens.widgets.finding_detail import finding_body


def details(
    record: IndexRecord, definition: str | None, overview: IndexOverview | None
) -> RenderableType:
    """Definition, cost, use and findings of one index."""
    parts: list[RenderableType] = [
        Text(printable(definition) if definition else "(locked: its definition waits)", "bold"),
        Text(),
        _facts(record, overview),
    ]
    for finding in record.findings:
        parts += [Text(), finding_body(finding)]
    return Group(*parts)


def _facts(record: IndexRecord, overview: IndexOverview | None) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column()
    for name, value in _rows(record, overview):
        facts.add_row(name, Text(printable(value)))
    return facts


def _rows(record: IndexRecord, overview: IndexOverview | None) -> list[tuple[str, str]]:
    index, activity = record.index, record.activity
    kind = [
        record.kind,
        index.method,
        *record.traits,
        *(["critical"] if record.is_critical else []),
    ]
    rows = [
        ("table", record.table),
        ("kind", ", ".join(kind)),
        ("state", record.state),
        (
            "size",
            units.size(record.bytes) + ("" if record.size_is_exact else " at the last VACUUM"),
        ),
    ]
    if record.bloat is not None:
        rows.append(("bloat", _bloat_words(record)))
    since = (
        f" since {overview.since.since:%Y-%m-%d %H:%M} UTC" if overview and overview.since else ""
    )
    rows.append(("scans", units.count(record.scans) + since))
    if activity is not None:
        rows.append(("entries read", units.count(activity.entries_read)))
        rows.append(("rows fetched", units.count(activity.rows_fetched)))
        if activity.last_scan is not None and overview is not None:
            rows.append(("last scan", units.age(activity.last_scan, overview.at)))
    if index.constraint_name is not None:
        rows.append(("constraint", index.constraint_name))
    if record.supports:
        rows.append(("supports", "foreign key " + ", ".join(record.supports)))
    return rows


def _bloat_words(record: IndexRecord) -> str:
    bloat = record.bloat
    if bloat is None or bloat.share is None:
        return f"not known: {bloat.reason}" if bloat else units.UNKNOWN
    share = units.percent(round(bloat.share, 2))
    return f"about {share}, {units.size(bloat.wasted_bytes)} of {units.size(bloat.actual_bytes)}"
