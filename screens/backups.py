"""Backups: what there is, how well it is proven, and the work on it while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import DataTable, Static

from console import units
from console.backup import background
from console.backup.background import JobStatus
from console.backup.describe import details, plan
from console.backup.elsewhere import Elsewhere, elsewhere
from console.backup.history import remarks
from console.backup.job import Job, Place
from console.backup.manifest import Tier
from console.backup.prune import prune
from console.backup.retention import expires_at
from console.backup.store import Backup, Store
from console.errors import ConsoleError
from console.findings import Finding, Severity, worst
from console.pgbackrest import describe as physical
from console.pgbackrest.backrest import Backrest, backrest_of
from console.pgbackrest.history import History, findings, read_history, with_history
from console.restore.outlook import notice
from screens.backups_columns import COLUMNS, Line, lines
from screens.keys import TABS, Key
from screens.point_in_time import PointInTimeScreen
from screens.widgets import marks
from screens.widgets.chart import Chart
from screens.widgets.dialogs import ChoiceDialog, ConfirmDialog, DetailDialog
from screens.widgets.plain import one_line
from screens.widgets.record_table import RecordTable
from screens.widgets.tab import Tab

BAR_WIDTH = 20
CHART_DAYS = timedelta(days=90)

STANZA_SECONDS = 60.0
"""From one answer of pgBackRest to the next question: its repository may be far away."""


@dataclass(frozen=True, slots=True)
class Backups:
    """What the tab shows, as of `at`."""

    at: datetime
    backups: tuple[Backup, ...]
    remarks: tuple[Finding, ...]
    job: JobStatus | None
    elsewhere: Elsewhere | None = None
    """A run that was begun at a command line."""
    restore: str = ""
    """A restore that is at work or unfinished, in a few words."""


class BackupsTab(Tab):
    IDENTITY = "backups"
    TITLE = "Backups"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["backups"]
    EXPLANATION = """
The backups of this database, as the backup directory holds them, and how well each is proven. Work
on them runs in a process of its own: it goes on when you leave, and every console sees it. Where
settings name a stanza of pgBackRest, its backups of the whole cluster stand among them: physical.
"""
    FIGURES = (
        ("✓ OK", "Verified: every file read whole, every row of the archive counted."),
        ("✗ FAIL", "Verification or a drill failed: do not rely on it."),
        ("? UNKNOWN", "Not verified yet, or it could not be; that is never taken for good."),
        ("made", "When its snapshot was taken."),
        ("took", "How long making it took."),
        ("verified", "Hashes, archive, row counts; `v` does it again."),
        ("drilled", "Restored into a scratch database and compared; how long the restore took."),
        ("expires", "When retention may remove it; held ones never expire."),
        ("physical", "pgBackRest's: size is what it added; verified by `pgbackrest verify` alone."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.shown: Backups | None = None
        self.history: History | None = None
        """Of pgBackRest's stanza; None until it was asked, or when there is none."""
        self._expires: dict[str, datetime | None] = {}

    @property
    def interval(self) -> float | None:
        return 2.0

    @property
    def store(self) -> Store:
        return Store(self.console.settings.backups.directory)

    @property
    def owner(self) -> str:
        """The name that the backups are kept under."""
        return self.console.target.name

    @property
    def backrest(self) -> Backrest | None:
        return backrest_of(self.console.settings, self.owner)

    @property
    def table(self) -> RecordTable[Line]:
        return self.query_one("#backups-table", RecordTable)

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Reading…", style="dim"), classes="headline", markup=False)
        yield RecordTable[Line](COLUMNS, lambda line: line.id, id="backups-table")
        with Horizontal(id="backup-charts"):
            yield Chart("size in MB", id="chart-size")
            yield Chart("seconds to make", id="chart-took")

    def first_focus(self) -> Widget | None:
        return self.table

    def enter(self) -> None:
        super().enter()
        if self.backrest is not None:
            self._follow_stanza(self.backrest)

    @work(group="stanza", exclusive=True)
    async def _follow_stanza(self, backrest: Backrest) -> None:
        """Beside the rest: a repository far away, or a hung command, holds up nothing."""
        while True:
            self.history = await read_history(backrest, self.owner, self.history)
            if self.shown is not None and self.app.is_running:
                self.show(self.shown)
            await asyncio.sleep(STANZA_SECONDS)

    def action_reload(self) -> None:
        super().action_reload()
        if self.backrest is not None:
            self._follow_stanza(self.backrest)

    async def load(self) -> Backups:
        return await asyncio.to_thread(self._read)

    def _read(self) -> Backups:
        now = datetime.now(UTC)
        backups = self.store.backups(self.owner)
        job = background.status(self.store, self.owner)
        return Backups(
            now,
            backups,
            remarks(backups, now),
            job,
            elsewhere(self.store, self.owner, job),
            notice(),
        )

    def show(self, value: Backups) -> None:
        self.shown = value
        policy = self.console.settings.backups.retention
        self._expires = {backup.id: expires_at(backup, policy) for backup in value.backups}
        self.query_one(".headline", Static).update(headline(self._judged(value)))
        self.refilter()
        known = [b for b in reversed(value.backups) if b.manifest is not None]
        sizes = [(b.made_at, b.manifest.bytes / 1e6) for b in known if b.manifest]
        took = [(b.made_at, b.manifest.seconds) for b in known if b.manifest]
        self.query_one("#backup-charts").display = len(known) > 1 and self.size.height >= 30
        self.query_one("#chart-size", Chart).draw(sizes, CHART_DAYS)
        self.query_one("#chart-took", Chart).draw(took, CHART_DAYS)

    def _judged(self, value: Backups) -> Backups:
        """With what pgBackRest's history says, where there is a stanza."""
        if self.backrest is None:
            return value
        if self.history is None:
            waiting = Finding("pgbackrest.read", Severity.UNKNOWN, "", "pgBackRest: reading…")
            found: tuple[Finding, ...] = (waiting,)
        else:
            found = findings(self.backrest, self.history, value.at)
        return replace(value, remarks=with_history(value.remarks, bool(value.backups), found))

    def refilter(self) -> None:
        if self.shown is not None:
            history = self.history or History()
            self.table.show(
                [
                    line
                    for line in lines(self.shown.backups, self._expires, history, self.shown.at)
                    if self.filter_text in f"{line.id} {line.tier} {line.note}".casefold()
                ]
            )

    def copied_text(self) -> str | None:
        line = self.table.selected
        if line is None:
            return None
        return str(line.backup.path) if line.backup else line.id

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_detail(self) -> None:
        line = self.table.selected
        if line is None or self.shown is None:
            return
        if line.backup is not None:
            policy = self.console.settings.backups.retention
            text = details(line.backup, policy, self.shown.at)
            self.app.push_screen(DetailDialog(line.id, Text(text), str(line.backup.path)))
        elif line.physical is not None and self.history is not None:
            text = physical.details(line.physical, self.history.proofs, self.shown.at)
            self.app.push_screen(DetailDialog(line.id, Text(text), line.id))

    def _own(self, otherwise: str) -> Backup | None:
        """The selected dump; where pgBackRest's is selected, the line says what to do instead."""
        line = self.table.selected
        if line is not None and line.physical is not None:
            self.console.say(f"This backup is pgBackRest's: {otherwise}.")
        return line.backup if line is not None else None

    def action_sort(self) -> None:
        self.table.sort_next()

    def action_reverse(self) -> None:
        self.table.reverse()

    def action_point_in_time(self) -> None:
        self.app.push_screen(PointInTimeScreen(self.console.target, self.console.settings))

    def action_create(self) -> None:
        choices = [(str(tier), words) for tier, words in _TIER_WORDS.items()]

        def chosen(tier: str | None) -> None:
            if tier is not None:
                self._begin(Job("create", tier=Tier(tier)))

        self.app.push_screen(ChoiceDialog("Back up now, as", choices), chosen)

    def action_verify(self) -> None:
        backup = self._own("`medianest-console pgbackrest verify` proves all of them")
        if backup is not None:
            self._begin(Job("verify", backup=backup.id))

    def action_drill(self) -> None:
        backup = self._own("`medianest-console pgbackrest restore --into DIRECTORY` tries it")
        if backup is None:
            return
        choices = [
            ("temporary", "a PostgreSQL of our own, started for it: nothing else is touched"),
            ("server", "a scratch database on this server, dropped afterwards"),
        ]

        def chosen(place: str | None) -> None:
            if place is not None:
                where: Place = "server" if place == "server" else "temporary"
                self._begin(Job("drill", backup=backup.id, place=where))

        self.app.push_screen(ChoiceDialog("Restore it for trial into", choices), chosen)

    def action_stop_job(self) -> None:
        try:
            background.stop(self.store, self.owner)
        except ConsoleError as error:
            self.console.say(str(error))
        else:
            self.console.say("Stopping; what was begun is taken back.")

    def action_hold(self) -> None:
        backup = self._own("its repo1-retention settings say how long it stays")
        if backup is not None:
            held = not backup.record.held
            self._change(
                asyncio.to_thread(
                    self.store.change_record,
                    backup,
                    lambda record: replace(record, held=held),
                )
            )

    def action_prune(self) -> None:
        policy = self.console.settings.backups.retention
        try:
            decided = prune(self.store, self.owner, policy, dry_run=True).decisions
        except ConsoleError as error:
            self.console.say(str(error), error=True)
            return
        going = [decision for decision in decided if not decision.keep]
        if not going:
            self.console.say("Nothing may go yet.")
            return

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._change(
                    asyncio.to_thread(prune, self.store, self.owner, policy, dry_run=False)
                )

        risk = "They are removed from the backup directory for good."
        self.app.push_screen(ConfirmDialog("Remove old backups?", plan(going), risk), answered)

    def _begin(self, job: Job) -> None:
        self._change(background.start(self.console.target, self.console.settings, job))

    def _change(self, work: Awaitable[object]) -> None:
        async def run() -> None:
            try:
                await work
            except ConsoleError as error:
                self.console.say(str(error), error=True)
            self.action_reload()

        self.run_worker(run(), group="change")


_TIER_WORDS = {
    Tier.MANUAL: "kept until you delete it",
    Tier.PRE_DEPLOYMENT: "before a new version: the newest few are kept",
    Tier.DAILY: "kept for days",
    Tier.WEEKLY: "kept for weeks",
    Tier.MONTHLY: "kept for months",
}


def _key_for(command: str) -> Text:
    """The key of this tab that does what the command does, where there is one."""
    key = next((key for key in TABS["backups"] if f" backup {key.action} " in f"{command} "), None)
    return Text.assemble((key.name, "bold"), f" {key.label}, or ") if key else Text()


def headline(shown: Backups) -> Text:
    """The verdict over all, what is at work, then each remark that is not well."""
    verdict = worst(shown.remarks)
    text = marks.badge(verdict)
    first, *rest = sorted(shown.remarks, key=lambda finding: finding.severity.rank)
    text.append("  ").append_text(one_line(first.message, "bold"))
    if first.fix:
        text.append("\n→ ").append(_key_for(first.fix)).append_text(one_line(first.fix, "dim"))
    if shown.restore:
        text.append("\n").append_text(one_line(f"{shown.restore}: F9 shows it", "bold cyan"))
    if shown.elsewhere is not None:
        text.append("\n").append_text(elsewhere_line(shown.elsewhere, shown.at))
    elif shown.job is not None:
        text.append("\n").append_text(job_line(shown.job, shown.at))
    for finding in rest:
        if finding.severity is not Severity.OK:
            text.append("\n").append_text(one_line(finding.message, marks.style(finding.severity)))
    return text


def elsewhere_line(found: Elsewhere, now: datetime) -> Text:
    """What a command line does to these backups, as far as it can be seen from here."""
    line = Text(f"A run from elsewhere (pid {found.pid or 'unknown'})  ", "bold cyan")
    if found.since is not None and found.expected_bytes:
        line.append_text(_bar(found.written_bytes, found.expected_bytes))
    elif found.since is not None:
        line.append(f"{units.size(found.written_bytes)} written  ")
    if found.since is not None:
        seconds = max(0.0, (now - found.since).total_seconds())
        line.append(units.duration(round(seconds)), "dim")
    return line


def _bar(done: int, expected: int) -> Text:
    filled = round(BAR_WIDTH * min(1.0, done / expected))
    text = Text.assemble(("━" * filled, "green"), ("━" * (BAR_WIDTH - filled), "dim"))
    return text.append(f" {units.size(done)} of about {units.size(expected)}  ")


def job_line(job: JobStatus, now: datetime) -> Text:
    """What is at work, with a bar where its end is known; or how the last work ended."""
    if not job.running:
        if job.error is not None:
            return one_line(f"The last {job.kind} failed: {job.error}", "bold red")
        if job.was_killed:
            return Text(f"The last {job.kind} was killed; what it left is swept.", "yellow")
        return Text(f"The last {job.kind} ended {units.age(job.ended_at, now)}.", "dim")
    line = Text(f"{job.kind}: {job.phase}  ", "bold cyan")
    if job.expected_bytes:
        line.append_text(_bar(job.done_bytes, job.expected_bytes))
    line.append_text(one_line(job.table, "dim"))
    line.append(f"  {units.duration(round((now - job.started_at).total_seconds()))}", "dim")
    return line
