"""Checks: the readiness report as a list, each finding with its proof and its fix."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import DataTable, Static

from console import checks, units
from console.checks import Check, Progress
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
ON_REQUEST = "on request"
SHOWN_FINDINGS = 100
"""Lines of one check; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """A category, a check below it, a finding below that; or a check that did not run."""

    key: str
    result: CheckResult | None = None
    finding: Finding | None = None
    category: str = ""
    """Set on a category's line."""
    results: tuple[CheckResult, ...] = ()
    """All of the category."""
    waiting: Check | None = None
    """A check that runs only when it is asked for."""

    @property
    def severity(self) -> Severity | None:
        if self.finding is not None:
            return self.finding.severity
        if self.result is not None:
            return self.result.severity
        return min((r.severity for r in self.results), key=lambda s: s.rank, default=None)

    @property
    def check_id(self) -> str | None:
        if self.waiting is not None:
            return self.waiting.id
        return self.result.id if self.result is not None else None

    @property
    def words(self) -> str:
        if self.finding is not None:
            return f"{self.finding.subject} {self.finding.message} {self.finding.check}"
        if self.result is not None:
            return f"{self.result.title} {self.result.summary} {self.result.id}"
        if self.waiting is not None:
            return f"{self.waiting.title} {self.waiting.meaning} {self.waiting.id}"
        return ""


def lines(report: Report, opened: Collection[str], *, is_filtered: bool = False) -> list[Line]:
    """What decides, worst first, each check followed by its findings; then advice by category.

    A category that is not `opened` shows nothing but its line; while filtering all are open.
    """
    shown: list[Line] = []
    for result in _worst_first(r for r in report.results if not r.is_advice):
        shown += _check_lines(result)
    by_category: dict[str, list[CheckResult]] = {}
    for result in report.results:
        if result.is_advice:
            by_category.setdefault(result.id.partition(".")[0], []).append(result)
    for category, results in by_category.items():
        shown.append(Line(f"category\0{category}", category=category, results=tuple(results)))
        if is_filtered or category in opened:
            for result in _worst_first(results):
                shown += _check_lines(result)
    ran = {result.id for result in report.results}
    waiting = [
        check
        for check in checks.CHECKS
        if check.id not in ran and not check.by_default and not check.needs_profile
    ]
    shown.append(Line(f"category\0{ON_REQUEST}", category=ON_REQUEST))
    if is_filtered or ON_REQUEST in opened:
        shown += [Line(check.id, waiting=check) for check in waiting]
    return shown


def troubled(report: Report) -> set[str]:
    """The categories of advice that hold a warning or worse."""
    return {
        result.id.partition(".")[0]
        for result in report.results
        if result.is_advice and result.severity.rank <= Severity.WARNING.rank
    }


def _worst_first(results: Iterable[CheckResult]) -> list[CheckResult]:
    return sorted(results, key=lambda result: result.severity.rank)


def _check_lines(result: CheckResult) -> Iterator[Line]:
    yield Line(result.id, result)
    for number, finding in enumerate(sorted(result.findings, key=lambda f: f.severity.rank)):
        if number == SHOWN_FINDINGS:
            rest = len(result.findings) - SHOWN_FINDINGS
            more = f"{rest} more; e writes all of them to a file."
            yield Line(f"{result.id}\0rest", result, Finding(result.id, finding.severity, "", more))
            return
        yield Line(f"{result.id}\0{finding.subject}\0{number}", result, finding)


COLUMNS = (
    Column[Line]("verdict", lambda line: _verdict(line), width=9),
    Column[Line]("check", lambda line: _name(line), width=17),
    Column[Line]("what was found", lambda line: _found(line), width=36, fills=True),
    Column[Line]("took", lambda line: _took(line), right=True, priority=1, width=7),
)


def _verdict(line: Line) -> Text:
    return Text("○ not run", style="dim") if line.severity is None else marks.mark(line.severity)


def _name(line: Line) -> Text:
    if line.category:
        return Text(line.category, style="bold underline")
    if line.waiting is not None:
        return Text(f"  {line.waiting.title}", style="dim")
    if line.finding is not None or line.result is None:
        return Text("")
    return Text(("  " if line.result.is_advice else "") + line.result.title, style="bold")


def _found(line: Line) -> Text:
    if line.waiting is not None:
        return Text(line.waiting.meaning, style="dim")
    if line.category == ON_REQUEST:
        return Text("Enter lists them; c runs one", style="dim")
    if line.category:
        well = sum(r.severity.rank >= Severity.INFO.rank for r in line.results)
        return Text(f"{well} of {len(line.results)} well; Enter opens, closes", style="dim")
    if line.finding is None:
        return Text(printable(line.result.summary) if line.result else "", style="bold")
    return Text.assemble(("└ ", "dim"), printable(line.finding.message))


def _took(line: Line) -> Text:
    if line.finding is not None or line.result is None:
        return Text("")
    return Text(units.duration(line.result.seconds), style="dim")


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
        ("○ not run", "Slow, or rarely wanted; c runs the selected one."),
        ("security …", "Advice stands by category, and changes the verdict only by a failure."),
        ("took", "How long the check took."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.report: Report | None = None
        self._only: str | None = None
        self._opened: set[str] | None = None

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
            backups=self.console.settings.backups.directory,
            settings=self.console.settings.checks,
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
        if self.report is None:
            return
        if self._opened is None:
            self._opened = troubled(self.report)
        words = self.filter_text
        shown = lines(self.report, self._opened, is_filtered=bool(words))
        self.table.show([line for line in shown if not words or words in line.words.casefold()])

    def _progressed(self, progress: Progress) -> None:
        done = progress.number if progress.result else progress.number - 1
        filled = BAR_WIDTH * done // progress.total
        self._headline(
            Text.assemble(
                ("━" * filled, "green"),
                ("━" * (BAR_WIDTH - filled), "dim"),
                f"  {done}/{progress.total}  ",
                (progress.step or progress.check.meaning, "dim"),
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
        if line.category:
            self._toggle(line.category)
        elif line.waiting is not None:
            about = Group(Text(line.waiting.id, style="dim"), Text(), Text(line.waiting.meaning))
            self.app.push_screen(DetailDialog(line.waiting.title, about))
        elif line.result is not None:
            self._detail(line, line.result)

    def _toggle(self, category: str) -> None:
        if self._opened is not None:
            self._opened ^= {category}
            self.refilter()

    def _detail(self, line: Line, result: CheckResult) -> None:
        if line.finding is not None:
            body = finding_body(line.finding)
            self.app.push_screen(DetailDialog(result.title, body, self.copied_text()))
            return
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
        if line is None or line.check_id is None:
            self.console.say("Select a check first.")
            return
        self._only = line.check_id
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
    advice = {result.id for result in before.results if result.is_advice}
    renewed = {
        result.id: replace(result, is_advice=_is_advice(result.id, advice))
        for result in again.results
    }
    results = tuple(renewed.pop(result.id, result) for result in before.results)
    return replace(before, results=(*results, *renewed.values()), finished=datetime.now(UTC))


def _profile(report: Report) -> str:
    if report.profile is None:
        return "no profile"
    return f"profile {report.profile}"


def _is_advice(check_id: str, known: Collection[str]) -> bool:
    """As it was before it was run alone, which lets it decide; else what its kind is."""
    return check_id in known or any(c.id == check_id and c.is_advice for c in checks.CHECKS)
