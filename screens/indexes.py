"""Indexes: every one with its use and its size, and what is missing, broken or superfluous."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import DataTable, Static

from console import units
from console.actions import Action, Outcome, drop_leftover, reindex_concurrently
from console.errors import ConsoleError
from console.findings import Finding, Severity, worst
from console.index_health import (
    IndexOverview,
    IndexRecord,
    critical_of,
    index_definition,
    read_indexes,
)
from console.index_rules import Critical
from console.profile_choice import choose
from console.report import printable
from screens.index_details import details
from screens.keys import TABS, Key
from screens.widgets import marks
from screens.widgets.dialogs import ConfirmDialog, DetailDialog
from screens.widgets.finding_detail import finding_body
from screens.widgets.record_table import Column, RecordTable
from screens.widgets.running import ActionDialog
from screens.widgets.tab import Tab

LONGEST_NAME = 40
LONGEST_COLUMNS = 34


@dataclass(frozen=True, slots=True)
class Line:
    """An index, or a finding about one that is missing."""

    key: str
    record: IndexRecord | None
    finding: Finding | None = None

    @property
    def severity(self) -> Severity:
        if self.record is not None:
            return self.record.verdict
        return self.finding.severity if self.finding else Severity.OK

    @property
    def words(self) -> str:
        """What the filter looks through."""
        if self.record is None:
            return f"{self.finding.subject} missing {self.finding.check}" if self.finding else ""
        r = self.record
        checks = " ".join(finding.check for finding in r.findings)
        critical = "critical" if r.is_critical else ""
        return (
            f"{r.index.schema}.{r.index.name} {r.table} {r.columns} {r.kind} {r.index.method}"
            f" {r.state} {' '.join(r.traits)} {critical} {checks}"
        )


def lines(overview: IndexOverview) -> list[Line]:
    """Every index, and a line for each that should be there and is not."""
    shown = [Line(record.key, record) for record in overview.records]
    beside = {id(f) for record in overview.records for f in record.findings}
    return shown + [
        Line(f"{finding.check}\0{finding.subject}", None, finding)
        for finding in overview.findings
        if id(finding) not in beside and finding.subject
    ]


COLUMNS = (
    Column[Line](
        "verdict",
        lambda line: marks.mark(line.severity),
        lambda line: (line.severity.rank, _name(line)),
        width=8,
    ),
    Column[Line]("index", lambda line: _named(line), lambda line: _name(line), width=40),
    Column[Line]("on", lambda line: _on(line), lambda line: _on(line).plain, priority=2, width=34),
    Column[Line](
        "kind", lambda line: _kind(line), lambda line: _kind(line).plain, priority=4, width=16
    ),
    Column[Line](
        "method",
        lambda line: line.record.index.method if line.record else "",
        lambda line: line.record.index.method if line.record else None,
        priority=5,
        width=6,
    ),
    Column[Line](
        "size",
        lambda line: _size(line),
        lambda line: line.record.bytes if line.record else None,
        right=True,
        width=7,
        descending=True,
    ),
    Column[Line](
        "bloat≈",
        lambda line: _bloat(line),
        lambda line: _share(line),
        right=True,
        priority=3,
        width=7,
        descending=True,
    ),
    Column[Line](
        "scans",
        lambda line: units.count(line.record.scans) if line.record else "",
        lambda line: line.record.scans if line.record else None,
        right=True,
        width=6,
        descending=True,
    ),
    Column[Line](
        "entries read",
        lambda line: _entries(line),
        lambda line: _entries_read(line),
        right=True,
        priority=6,
        width=12,
        descending=True,
    ),
)


def _name(line: Line) -> str:
    if line.record is not None:
        return line.record.index.name
    return line.finding.subject if line.finding else ""


def _named(line: Line) -> Text:
    if line.record is None:
        assert line.finding is not None
        if line.finding.check == "foreign-key.unindexed":
            return Text(f"(none) for {_cut(line.finding.subject.rpartition('.')[2], 30)}", "italic")
        return Text(f"(missing) {_cut(line.finding.subject, 30)}", "italic bold")
    mark = "★ " if line.record.is_critical else ""
    remark = _remark(line.record)
    room = LONGEST_NAME - len(mark) - len(remark)
    return Text.assemble(f"{mark}{_cut(line.record.index.name, room)}", (remark, "italic"))


def _remark(record: IndexRecord) -> str:
    """A word for what is wrong with it, the worst of several."""
    if record.findings:
        first = min(record.findings, key=lambda finding: finding.severity.rank)
        return f" [{first.check.rpartition('.')[2]}]"
    return "" if record.state == "valid" else f" [{record.state}]"


def _cut(text: str, room: int) -> str:
    """The beginning and the end: the middle of a long name says least."""
    text = printable(text)
    if len(text) <= room:
        return text
    tail = room // 2 - 1
    return f"{text[: room - tail - 1]}…{text[-tail:]}"


def _on(line: Line) -> Text:
    if line.record is None:
        return Text("")
    text = f"{line.record.table} ({line.record.columns})"
    return Text(_cut(text, LONGEST_COLUMNS))


def _kind(line: Line) -> Text:
    if line.record is None:
        return Text("")
    short = {"partial": "part.", "expression": "expr.", "covering": "cov."}
    traits = " ".join(short[t] for t in line.record.traits if t in short)
    return Text(f"{line.record.kind} {traits}".strip())


def _size(line: Line) -> str:
    if line.record is None:
        return ""
    return ("" if line.record.size_is_exact else "~") + units.size(line.record.bytes)


def _share(line: Line) -> float | None:
    return line.record.bloat.share if line.record and line.record.bloat else None


def _bloat(line: Line) -> str:
    share = _share(line)
    if line.record is None:
        return ""
    return units.UNKNOWN if share is None else units.percent(round(share, 2))


def _entries_read(line: Line) -> int | None:
    activity = line.record.activity if line.record else None
    return activity.entries_read if activity else None


def _entries(line: Line) -> str:
    return units.count(_entries_read(line)) if line.record else ""


class IndexesTab(Tab):
    IDENTITY = "indexes"
    TITLE = "Indexes"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["indexes"]
    EXPLANATION = """
What makes queries quick and writes slow: every index, what it costs and how it is used; and those
that are missing. Words such as unique, invalid, duplicate, unused or critical filter it.
"""
    FIGURES = (
        ("★", "Critical: the profile says that the application needs it."),
        ("size", "On disk; with ~ as of the last VACUUM."),
        ("bloat≈", "Estimated share that a rebuild would free, from statistics; - is not known."),
        ("scans", "How often it was used since statistics began; each server counts its own."),
        ("entries read", "Index entries that those scans returned."),
        ("unused", "Said only after seven days of statistics, never of what guards a rule."),
        ("duplicate", "The same columns, operator classes, collations, order and predicate."),
        ("redundant", "The beginning of another B-tree; that one answers the same queries."),
        ("invalid", "Its build failed: no query uses it. A build that runs is not invalid."),
        ("(none)", "A foreign key without an index: deletes in its target read the whole table."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.overview: IndexOverview | None = None
        self._critical: Critical | None = None

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Reading…", style="dim"), classes="headline", markup=False)
        yield RecordTable[Line](COLUMNS, lambda line: line.key, sort=0, id="index-table")

    @property
    def table(self) -> RecordTable[Line]:
        return self.query_one("#index-table", RecordTable)

    def first_focus(self) -> Widget | None:
        return self.table

    async def load(self) -> IndexOverview:
        if self._critical is None:
            profile = (await choose(self.console.target)).profile
            self._critical = critical_of(profile) if profile is not None else {}
        return await read_indexes(self.session, self._critical)

    def show(self, value: IndexOverview) -> None:
        self.overview = value
        self.query_one(".headline", Static).update(self._headline(value))
        self.refilter()

    def refilter(self) -> None:
        if self.overview is not None:
            words = self.filter_text.split()
            self.table.show(
                [
                    line
                    for line in lines(self.overview)
                    if all(word in line.words.casefold() for word in words)
                ]
            )

    def _headline(self, overview: IndexOverview) -> Text:
        verdict = worst(overview.findings) if overview.findings else Severity.OK
        line = Text.assemble(marks.badge(verdict), ("  " + self._summary(overview), "bold"))
        for sentence in self._remarks(overview):
            line.append(f"\n{printable(sentence)}", style="dim")
        return line

    def _summary(self, overview: IndexOverview) -> str:
        total = units.size(
            sum(r.bytes or 0 for r in overview.records if r.index.parent_oid is None)
        )
        count = len(overview.records)
        parts = [f"{count} {'index' if count == 1 else 'indexes'}, {total}"]
        if self._critical:
            present = sum(record.is_critical for record in overview.records)
            parts.append(f"{present} of {len(self._critical)} critical")
        remarks = sum(f.severity is not Severity.OK for f in overview.findings)
        parts.append(f"{remarks} {'remark' if remarks == 1 else 'remarks'}" if remarks else "sound")
        return " · ".join(parts)

    def _remarks(self, overview: IndexOverview) -> list[str]:
        """What belongs to no line: since when use is counted, and what could not be read."""
        remarks = [f.message for f in overview.findings if not f.subject]
        if not remarks and overview.since is not None:
            window = units.duration((overview.at - overview.since.since).total_seconds())
            remarks = [f"Use is counted for {window}."]
        return remarks + list(overview.not_read)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_sort(self) -> None:
        self.table.sort_next()

    def action_reverse(self) -> None:
        self.table.reverse()

    def action_detail(self) -> None:
        line = self.table.selected
        if line is not None:
            self.run_worker(self._detail(line), group="detail", exclusive=True)

    async def _detail(self, line: Line) -> None:
        if line.record is None:
            assert line.finding is not None
            self.app.push_screen(
                DetailDialog("Missing", finding_body(line.finding), line.finding.fix or None)
            )
            return
        try:
            definition = await index_definition(self.session, line.record.index.oid)
        except ConsoleError as error:
            definition = None
            self.console.say(error.message, error=True)
        body = details(line.record, definition, self.overview)
        copied = next((f.fix for f in line.record.findings if f.fix), definition)
        self.app.push_screen(DetailDialog(printable(line.record.index.name), body, copied))

    def copied_text(self) -> str | None:
        """The fix, which is what one wants to paste; else the name."""
        line = self.table.selected
        if line is None:
            return None
        findings = line.record.findings if line.record else (line.finding,)
        fix = next((f.fix for f in findings if f is not None and f.fix), None)
        return fix or _name(line)

    def action_lab(self) -> None:
        # Imported here: what measures is heavy, and most sessions never need it.
        from screens.index_lab import Lab

        Lab(self).open()

    def action_reindex(self) -> None:
        self._plan(lambda record: reindex_concurrently(record.index))

    def action_drop(self) -> None:
        self._plan(lambda record: drop_leftover(record.index))

    def _plan(self, plan: Callable[[IndexRecord], Action]) -> None:
        line = self.table.selected
        if line is None or line.record is None:
            self.console.say("Select an index first.")
            return
        try:
            action = plan(line.record)
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        else:
            self._confirm(action)

    def _confirm(self, action: Action) -> None:
        def decided(yes: bool | None) -> None:
            if yes:
                self.app.push_screen(ActionDialog(self.console.target, action), self._ended)

        dialog = ConfirmDialog(
            action.title, action.statement, f"{action.what}\n\n{action.risk}", action.needs_typing
        )
        self.app.push_screen(dialog, decided)

    def _ended(self, outcome: Outcome | None) -> None:
        self.action_reload()
        if outcome is not None and outcome.leftovers:
            self._confirm(outcome.leftovers[0])
