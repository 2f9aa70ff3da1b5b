"""Overview: the verdict, the figures behind it, and the last minutes as charts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from console import units
from console.agent.presence import Presence
from console.backup.history import Newest
from console.findings import Finding, Severity
from console.overview import HISTORY, History, Rates, cache_hit_ratio, judge
from console.pgbackrest.proven import newest_proven
from console.session import APPLICATION_NAME
from queries.overview import DATABASE_SIZE, OVERVIEW, Sample
from screens.keys import TABS, Key
from screens.past import NO_HISTORY, PastLines
from screens.widgets import marks
from screens.widgets.chart import Chart
from screens.widgets.tab import Tab

SLOW_EVERY = timedelta(minutes=1)
"""pg_database_size reads every file's length, and backups are files: once a minute is enough."""

CHARTS = {
    "transactions_per_second": "chart-transactions",
    "connections": "chart-connections",
}
"""The agent's figures, and the charts that show them."""


class OverviewTab(Tab):
    can_focus = True
    IDENTITY = "overview"
    TITLE = "Overview"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["overview"]
    EXPLANATION = """
How the database is right now. The verdict is the worst of what is listed under it; each line says
what to do about it.
"""
    FIGURES = (
        (
            "connections",
            "Client backends of all databases, of those that ordinary roles may open:"
            " max_connections less the reserved ones.",
        ),
        (
            "transactions",
            "Committed and rolled back a second in this database, over the last interval.",
        ),
        (
            "cache hit",
            "Blocks found in shared_buffers of all asked for, in the last interval and since"
            " statistics were reset. The system's own cache is not counted.",
        ),
        ("size", "Of this database on disk, read once a minute; growth since the console opened."),
        (
            "longest tx",
            "Age of the oldest open transaction of anybody else; vacuum cannot clean up behind it.",
        ),
        (
            "unvacuumed",
            "Transactions since the oldest row that is not frozen, as a share of the age at which"
            " autovacuum freezes by force (autovacuum_freeze_max_age).",
        ),
        (
            "replication",
            "Standbys connected and how far behind; a slot that nobody reads holds back WAL.",
        ),
        ("last backup", "The newest one that was verified, by the backup directory."),
        ("restore drill", "When a backup was last restored for trial, and how long that took."),
        (
            "agent",
            "Whether medianest-console agent runs and when it looked last; shown once it ever ran."
            " With h the charts go back hours, days and weeks by what it wrote down.",
        ),
        ("archiving", "Whether WAL is archived, and when that last succeeded."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self._findings: list[Finding] | None = None
        self._backups = Newest(None, None)
        self._past = PastLines(*CHARTS)
        self._shown: Figures | None = None
        self._slow_due = datetime.min.replace(tzinfo=UTC)

    @property
    def interval(self) -> float | None:
        return self.console.settings.refresh_seconds

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Connecting…", style="dim"), id="verdict")
        yield Static(id="figures")
        with Horizontal(id="charts"):
            yield Chart("transactions/s", id="chart-transactions")
            yield Chart("connections", id="chart-connections")

    def first_focus(self) -> Widget | None:
        return self

    async def load(self) -> Sample:
        sample = await self.session.fetch_one(OVERVIEW, {"own_name": APPLICATION_NAME})
        if sample.at >= self._slow_due:
            self.history.add_size(await self.session.fetch_one(DATABASE_SIZE))
            settings, name = self.console.settings, self.console.target.name
            self._backups = await asyncio.to_thread(newest_proven, settings, name)
            self._slow_due = sample.at + SLOW_EVERY
        await self._past.refresh(self.console.target)
        return sample

    def action_span(self) -> None:
        """The next span, after the longest the minutes seen here again."""
        if self._past.choose_next():
            self.action_reload()
        else:
            self.console.say(NO_HISTORY)

    def show(self, value: Sample) -> None:
        latest = self.history.add(value)
        server = self.session.server
        findings = judge(value, sees_everything=bool(server and server.reads_all_stats))
        verdict = findings[0].severity if findings else Severity.OK
        self.console.judged(self.IDENTITY, verdict)
        if findings != self._findings:
            self._findings = findings
            self.query_one("#verdict", Static).update(verdict_lines(verdict, findings))
        figures = self._figures(value, latest)
        if figures != self._shown:
            self._shown = figures
            self.query_one("#figures", Static).update(figures.table())
        self._draw_charts()

    def _figures(self, sample: Sample, latest: Rates) -> Figures:
        size = self.history.sizes[-1].bytes if self.history.sizes else None
        left = [
            connections_line(sample),
            transactions_line(latest),
            cache_line(sample, latest),
            size_line(size, self.history.growth_per_hour),
            backup_line(self._backups, sample),
        ]
        right = [
            longest_line(sample),
            unvacuumed_line(sample),
            replication_line(sample),
            archiving_line(sample),
            drill_line(self._backups, sample),
        ]
        if self._past.presence is not None:
            left.append(agent_line(self._past.presence, datetime.now(UTC)))
            right.append(("history", Text("h: hours, days, weeks", style="dim")))
        return Figures(left, right)

    def _draw_charts(self) -> None:
        if self._past.span is not None:
            for name, chart in CHARTS.items():
                self._past.draw(name, self.query_one(f"#{chart}", Chart))
            return
        transactions = [
            (rate.at, rate.transactions_per_second)
            for rate in self.history.rates
            if rate.transactions_per_second is not None
        ]
        connections = [(past.at, float(past.connections)) for past in self.history.samples]
        self.query_one("#chart-transactions", Chart).draw(transactions, HISTORY)
        self.query_one("#chart-connections", Chart).draw(connections, HISTORY)


Figure = tuple[str, Text]
"""What it is called, and its value with what belongs to it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Two columns of figures, equal when they would look alike."""

    left: list[Figure]
    right: list[Figure]

    def table(self) -> Table:
        grid = Table.grid(expand=True, padding=(0, 1))
        for ratio in (None, 1, None, 1):
            grid.add_column(no_wrap=True, ratio=ratio)
        for one, two in zip(self.left, self.right, strict=True):
            grid.add_row(Text(one[0], "dim"), one[1], Text(two[0], "dim"), two[1])
        return grid


def verdict_lines(verdict: Severity, findings: list[Finding]) -> Text:
    """The verdict, then a line for each reason; under the worst what to do about it."""
    text = marks.badge(verdict)
    indent = " " * (len(text) + 2)
    if not findings:
        return text.append("  Nothing is wrong right now.")
    for number, finding in enumerate(findings):
        text.append("  " if number == 0 else f"\n{indent}")
        text.append(finding.message, style=marks.style(finding.severity))
        if number == 0 and finding.fix:
            text.append(f"\n{indent}→ {finding.fix}")
    return text


def connections_line(sample: Sample) -> Figure:
    usable = sample.max_connections - sample.reserved_connections
    text = Text(f"{sample.connections} of {usable}")
    text.append(f"  {sample.active} active", style="dim")
    if sample.idle_in_transaction:
        text.append(f", {sample.idle_in_transaction} idle in tx", style="yellow")
    return "connections", text


def transactions_line(latest: Rates) -> Figure:
    rate = latest.transactions_per_second
    text = Text(f"{units.count(rate)}/s" if rate is not None else "measuring…")
    if latest.rollback_ratio:
        text.append(f"  {units.percent(latest.rollback_ratio)} rolled back", style="dim")
    return "transactions", text


def cache_line(sample: Sample, latest: Rates) -> Figure:
    text = Text(units.percent(latest.cache_hit_ratio))
    text.append(f"  {units.percent(cache_hit_ratio(sample))} since reset", style="dim")
    return "cache hit", text


def size_line(size: int | None, growth: float | None) -> Figure:
    text = Text(units.size(size))
    if growth is not None:
        text.append(f"  {'+' if growth >= 0 else ''}{units.size(int(growth))}/h", style="dim")
    return "size", text


def longest_line(sample: Sample) -> Figure:
    if sample.longest_seconds is None:
        return "longest tx", Text("none open")
    text = Text(units.duration(sample.longest_seconds))
    text.append(f"  pid {sample.longest_pid}", style="dim")
    return "longest tx", text


def unvacuumed_line(sample: Sample) -> Figure:
    share = sample.oldest_xid_age / sample.freeze_max_age
    text = Text(f"{units.count(sample.oldest_xid_age)} tx")
    text.append(f"  {units.percent(share)} of freeze", style="dim")
    return "unvacuumed", text


def replication_line(sample: Sample) -> Figure:
    if sample.in_recovery:
        return "replication", Text(f"standby, {units.duration(sample.replay_seconds_behind)} old")
    if sample.standbys == 0 and sample.inactive_slots == 0:
        return "replication", Text("none")
    text = Text(f"{sample.standbys} standby{'s' if sample.standbys != 1 else ''}")
    if sample.standby_bytes_behind is not None:
        text.append(f", {units.size(sample.standby_bytes_behind)} behind", style="dim")
    if sample.inactive_slots:
        text.append(f", {sample.inactive_slots} slot(s) idle", style="yellow")
    return "replication", text


def backup_line(newest: Newest, sample: Sample) -> Figure:
    if newest.verified is None:
        return "last backup", Text("none verified", style="yellow")
    return "last backup", Text(f"{units.age(newest.verified.made_at, sample.at)}, verified")


def drill_line(newest: Newest, sample: Sample) -> Figure:
    drill = newest.drilled.drill if newest.drilled else None
    if drill is None:
        return "restore drill", Text("never", style="yellow")
    text = Text(units.age(drill.at, sample.at))
    text.append(f"  in {units.duration(drill.restore_seconds)}", style="dim")
    return "restore drill", text


def agent_line(presence: Presence, now: datetime) -> Figure:
    if not presence.running:
        return "agent", Text(f"does not run, last seen {units.age(presence.seen, now)}", "yellow")
    if presence.is_late(now):
        return "agent", Text(f"stuck, looked {units.age(presence.seen, now)}", "yellow")
    return "agent", Text(f"runs, looked {units.age(presence.seen, now)}")


def archiving_line(sample: Sample) -> Figure:
    if sample.archive_mode == "off":
        return "archiving", Text("off")
    return "archiving", Text(f"last {units.age(sample.last_archived_at, sample.at)}")
