"""The second and third page of the emergency restore: does it fit, and what will be done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static

from console import units
from console.errors import ConsoleError
from console.findings import Finding, Severity
from console.restore.plan import Plan, Request
from screens.restore_dialogs import option_choices
from screens.restore_page import Page, headline
from screens.widgets import marks
from screens.widgets.dialogs import DetailDialog
from screens.widgets.finding_detail import finding_body
from screens.widgets.plain import many_lines, one_line
from screens.widgets.record_table import Column
from screens.widgets.steady_table import SteadyTable


class FindingTable(SteadyTable[Finding]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "go on")]


FINDING_COLUMNS = (
    Column[Finding]("", lambda finding: marks.mark(finding.severity), width=9),
    Column[Finding]("checked", lambda f: f.check.rpartition(".")[2], width=13),
    Column[Finding]("found", lambda finding: one_line(finding.message), width=30),
)


def _finding_key(finding: Finding) -> str:
    return f"{finding.check}/{finding.subject}/{finding.message}"


class PreflightPage(Page):
    IDENTITY = "preflight"
    TITLE = "2 Preflight"
    EXPLANATION = """
Everything that could stop the restore, asked before anything is changed: whether the archive is
whole, the tools fit, there is room, and the server has the roles, extensions and locale it needs.
What could not be checked is never taken for good.
"""
    FIGURES = (
        ("✗ FAIL", "Has to be mended before a restore may begin; the line below says how."),
        ("! WARN", "The restore may begin; read what will be different."),
        ("? UNKNOWN", "It could not be checked from here; check it yourself."),
    )

    def compose(self) -> ComposeResult:
        yield Static(classes="headline", markup=False)
        yield FindingTable(FINDING_COLUMNS, _finding_key, id="findings")
        yield Static(classes="foot", markup=False)

    @property
    def table(self) -> FindingTable:
        return self.query_one(FindingTable)

    def __init__(self) -> None:
        super().__init__()
        self._reference = ""

    @property
    def stage(self) -> int:
        return 2

    def examine(self, reference: str) -> None:
        """Find the backup and ask everything a restore of it depends on."""
        self._reference = reference
        self._plan(reference)

    def again(self) -> None:
        self.examine(self._reference)

    @work(group="plan", exclusive=True)
    async def _plan(self, reference: str) -> None:
        began = time.monotonic()
        self.wait(reference, 0)
        ticker = self.set_interval(1, lambda: self.wait(reference, time.monotonic() - began))
        try:
            plan = await self.wizard.make_plan(reference)
        except ConsoleError as error:
            self.refuse(error)
            return
        finally:
            ticker.stop()
        self.show(plan)

    def wait(self, what: str, seconds: float) -> None:
        """Reading a large archive takes a while: say what is done, and for how long."""
        self.table.show(())
        self.query_one(".foot", Static).update("")
        text = Text("Looking whether ").append_text(one_line(what, "bold"))
        text.append(" fits: the server is asked and the archive is read to its end.")
        if seconds >= 1:
            text.append(f"\nfor {units.duration(round(seconds))}; esc gives up", "dim")
        self.say(text)

    def show(self, plan: Plan) -> None:
        self.say(headline(*preflight_verdict(plan.preflight.findings)))
        self.table.show(plan.preflight.findings)
        self.table.move_cursor(row=0)
        self.explain()

    def refuse(self, error: ConsoleError) -> None:
        """It did not come to a preflight."""
        self.table.show(())
        self.query_one(".foot", Static).update("")
        hint = f"→ {error.hint}" if error.hint else ""
        self.say(headline(Severity.FAILURE, error.message, hint))

    def explain(self) -> None:
        """The selected finding, whole, with its remedy."""
        finding = self.table.selected
        text = Text()
        if finding is not None:
            text = many_lines(finding.message)
            if finding.fix:
                text.append("\n→ ", "bold").append_text(many_lines(finding.fix, "bold"))
        self.query_one(".foot", Static).update(text)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self.explain()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        plan = self.wizard.plan
        if plan is None:
            return
        if plan.may_begin:
            self.wizard.show_plan()
        else:
            self.action_detail()

    def action_detail(self) -> None:
        finding = self.table.selected
        if finding is not None:
            self.app.push_screen(DetailDialog(finding.check, finding_body(finding)))


def preflight_verdict(findings: tuple[Finding, ...]) -> tuple[Severity, str, str]:
    """The worst of all, in words, and what follows from it."""
    total = len(findings)
    failed, unknown, warned = (
        sum(finding.severity is severity for finding in findings)
        for severity in (Severity.FAILURE, Severity.UNKNOWN, Severity.WARNING)
    )
    if failed:
        verdict = f"{failed} of {total} checks must be mended before a restore may begin."
        return Severity.FAILURE, verdict, "The remedy is below; then r looks again."
    if unknown or warned:
        kinds = [f"{warned} with a warning"] * bool(warned)
        kinds += [f"{unknown} could not be checked"] * bool(unknown)
        severity = Severity.WARNING if warned else Severity.UNKNOWN
        verdict = f"A restore may begin; of {total} checks {', '.join(kinds)}."
        return severity, verdict, "Read them; enter goes on to the plan."
    return Severity.OK, f"All {total} checks are sound.", "Enter goes on to the plan."


class PlanPage(Page):
    IDENTITY = "plan"
    TITLE = "3 Plan"
    EXPLANATION = """
What will be done, in the order in which it is done. Up to the cut-over the live database stays in
use and nothing of it changes; the cut-over waits until you type the database's name.
"""
    FIGURES = (
        ("safety backup", "Of the live database as it is now, made first and verified."),
        ("cut-over", "Sessions are ended and both names change in one transaction."),
        ("expected time", "By a drill where one measured it; else a guess that says so."),
    )

    def compose(self) -> ComposeResult:
        yield Static(classes="headline", markup=False)
        with VerticalScroll():
            yield Static(id="plan-lines", markup=False)
            yield Static(id="plan-options", markup=False)

    @property
    def stage(self) -> int:
        return 3

    def again(self) -> None:
        self.wizard.examine_again()

    def refuse(self, error: ConsoleError) -> None:
        """It could not begin."""
        self.say(headline(Severity.FAILURE, error.message, f"→ {error.hint}"))

    def action_begin(self) -> None:
        self.wizard.begin()

    def show(self, plan: Plan, request: Request, database: str) -> None:
        time = units.duration(plan.seconds) if plan.seconds else "an unknown time"
        verdict = f"Ready to begin: it should take about {time}."
        reason = "Press B to begin. "
        if plan.needs_confirmation:
            reason += f"'{database}' stays as it is until you type its name at the cut-over."
        else:
            reason += f"It runs to its end: no database is replaced on {plan.options.place}."
        worst = min((f.severity for f in plan.preflight.findings), key=lambda s: s.rank)
        self.say(headline(worst, verdict, reason))
        self.query_one("#plan-lines", Static).update(_numbered(plan.lines))
        self.query_one("#plan-options", Static).update(_options(request, database))


def _numbered(lines: Sequence[str]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="dim")
    grid.add_column()
    for number, line in enumerate(lines, 1):
        grid.add_row(f"{number}.", many_lines(line))
    return grid


def _options(request: Request, database: str) -> Text:
    """What is asked for beyond the ordinary, or that nothing is."""
    changed = [
        (name, words)
        for (name, words), (_name, usual) in zip(
            option_choices(request, database), option_choices(Request(), database), strict=True
        )
        if words != usual
    ]
    text = Text("\nOptions (o): ", "dim")
    if not changed:
        return text.append("as usual.", "dim")
    return text.append_text(one_line("; ".join(f"{name}: {words}" for name, words in changed)))
