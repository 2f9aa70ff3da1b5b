"""Checks: the readiness report as a list, each finding with its proof and its fix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import DataTable, Static

from console import checks, units
from console.checks import Progress
from console.errors import ConsoleError
from console.findings import Finding, Severity
from console.profile_choice import choose
from console.report import CheckResult, Report, printable
from console.report_file import save_report
from screens.keys import TABS, Key
from screens.widgets import marks
from screens.widgets.dialogs import DetailDialog
from screens.widgets.finding_detail import finding_body
from screens.widgets.record_table import Column, RecordTable
from screens.widgets.tab import Tab

BAR_WIDTH = 20


@dataclass(frozen=True, slots=True)
class Line:
    """A check's own line, or under it a line for each of its findings."""

    key: str
    result: CheckResult
    finding: Finding | None = None

    @property
    def severity(self) -> Severity:
        return self.finding.severity if self.finding else self.result.severity

    @property
    def words(self) -> str:
        if self.finding is None:
            return f"{self.result.title} {self.result.summary} {self.result.id}"
        return f"{self.finding.subject} {self.finding.message} {self.finding.check}"


def lines(report: Report) -> list[Line]:
    """The checks, worst first, each followed by its findings, worst first."""
    shown = []
    for result in sorted(report.results, key=lambda result: result.severity.rank):
        shown.append(Line(result.id, result))
        for finding in sorted(result.findings, key=lambda finding: finding.severity.rank):
            shown.append(Line(f"{finding.check}\0{finding.subject}\0{len(shown)}", result, finding))
    return shown


COLUMNS = (
    Column[Line]("verdict", lambda line: marks.mark(line.severity), width=9),
    Column[Line]("check", lambda line: _name(line), width=15),
    Column[Line]("what was found", lambda line: _found(line), width=38),
    Column[Line]("took", lambda line: _took(line), right=True, priority=1, width=7),
)


def _name(line: Line) -> Text:
    return Text("" if line.finding else line.result.title, style="bold")


def _found(line: Line) -> Text:
    if line.finding is None:
        return Text(printable(line.result.summary), style="bold")
    return Text.assemble(("└ ", "dim"), printable(line.finding.message))


def _took(line: Line) -> Text:
    return Text("" if line.finding else units.duration(line.result.seconds), style="dim")


class ChecksTab(Tab):
    IDENTITY = "checks"
    TITLE = "Checks"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["checks"]
    EXPLANATION = """
Whether the database is ready: what it is, against the profile of what it should be, and what the
profile promises, measured now. Nothing is changed by it.
"""
    FIGURES = (
        ("✗ FAIL", "It is not as it must be. Enter shows the proof and the fix."),
        ("? UNKNOWN", "It could not be checked; that is never taken for well."),
        ("! WARN", "It works, and will trouble you."),
        ("· INFO", "Worth knowing, for example an object that the profile does not have."),
        ("✓ OK", "As expected; the figures say how it was counted."),
        ("took", "How long the check took."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.report: Report | None = None
        self._only: str | None = None

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Not yet checked.", style="dim"), classes="headline", markup=False)
        yield RecordTable[Line](COLUMNS, lambda line: line.key, id="findings")

    @property
    def table(self) -> RecordTable[Line]:
        return self.query_one("#findings", RecordTable)

    def first_focus(self) -> Widget | None:
        return self.table

    async def load(self) -> Report:
        only, self._only = self._only, None
        self._headline(Text("Looking for the profile that fits…", style="dim"))
        choice = await choose(self.console.target)
        report = await checks.run(
            self.console.target,
            choice.profile,
            only=[only] if only else None,
            on_progress=self._progressed,
            profile_reason=choice.reason,
        )
        return merged(self.report, report) if only and self.report else report

    def show(self, value: Report) -> None:
        self.report = value
        self.console.judged(self.IDENTITY, value.verdict)
        self.refilter()
        headline = Text.assemble(marks.badge(value.verdict), ("  " + value.headline, "bold"), "\n")
        seconds = (value.finished - value.started).total_seconds()
        headline.append(
            f"{_profile(value)} · checked {value.finished:%H:%M:%S} UTC in"
            f" {units.duration(seconds)}",
            style="dim",
        )
        self._headline(headline)

    def refilter(self) -> None:
        if self.report is not None:
            self.table.show(
                [line for line in lines(self.report) if self.filter_text in line.words.casefold()]
            )

    def _progressed(self, progress: Progress) -> None:
        done = progress.number if progress.result else progress.number - 1
        filled = BAR_WIDTH * done // progress.total
        self._headline(
            Text.assemble(
                ("━" * filled, "green"),
                ("━" * (BAR_WIDTH - filled), "dim"),
                f"  {done}/{progress.total}  ",
                (progress.check.meaning, "dim"),
            )
        )

    def _headline(self, text: Text) -> None:
        self.query_one(".headline", Static).update(text)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_detail(self) -> None:
        line = self.table.selected
        if line is None:
            return
        if line.finding is not None:
            body = finding_body(line.finding)
            self.app.push_screen(DetailDialog(line.result.title, body, self.copied_text()))
            return
        result = line.result
        about = Group(
            Text.assemble(marks.mark(result.severity), ("  " + result.id, "dim")),
            Text(),
            Text(result.meaning),
            Text(printable(result.summary), style="bold"),
        )
        self.app.push_screen(DetailDialog(result.title, about))

    def copied_text(self) -> str | None:
        """The fix, which is what one wants to paste; else the message."""
        line = self.table.selected
        if line is None or line.finding is None:
            return None
        return line.finding.fix or line.finding.message

    def action_run_one(self) -> None:
        line = self.table.selected
        if line is not None:
            self._only = line.result.id
            self.action_reload()

    def action_export(self) -> None:
        if self.report is None:
            self.console.say("There is no report yet.")
            return
        try:
            path = save_report(self.report)
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        else:
            self.console.say(f"Written to {path}.")


def merged(before: Report, again: Report) -> Report:
    """The report with the checks that ran again in the place of their old results."""
    renewed = {result.id: result for result in again.results}
    results = tuple(renewed.pop(result.id, result) for result in before.results)
    return replace(before, results=(*results, *renewed.values()), finished=datetime.now(UTC))


def _profile(report: Report) -> str:
    if report.profile is None:
        return "no profile"
    return f"profile {report.profile}"
