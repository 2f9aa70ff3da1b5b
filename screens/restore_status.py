"""The page of a restore that has begun: progress, the cut-over, the report, undo and finish."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from console import units
from console.errors import ConsoleError
from console.findings import Severity
from console.restore.outlook import Meter, NextAction, Outlook, StepLine, StepState, look
from console.restore.run import Action
from screens.keys import WIZARD
from screens.restore_page import Page, headline
from screens.widgets.dialogs import ConfirmDialog
from screens.widgets.plain import many_lines, one_line

BAR_WIDTH = 30
WATCH_SECONDS = 0.5

_ACTING = frozenset({"cut_over", "resume", "abort", "undo", "finish"})
_RISKS = {
    "cut_over": "All its sessions are ended. The old database is kept beside it, for undo.",
    "abort": "The live database is not touched by that.",
    "undo": "All sessions are ended. What was written since the cut-over is kept beside it.",
    "finish": "It cannot be brought back, but from a backup.",
}

_LOOK = {
    StepState.DONE: ("✓", "green"),
    StepState.SKIPPED: ("–", "yellow"),
    StepState.AT_WORK: ("▶", "bold cyan"),
    StepState.FAILED: ("✗", "bold red"),
    StepState.BROKEN: ("!", "yellow"),
    StepState.WAITING: ("·", "dim"),
}


class StatusPage(Page):
    IDENTITY = "status"
    TITLE = "4-9 The restore"
    EXPLANATION = """
A restore that has begun. It runs in a process of its own with a journal: it goes on when you leave
or lose the connection, every console sees it here, and killed at any point it is resumed or taken
back. Up to the cut-over the live database is not touched.
"""
    FIGURES = (
        ("safety backup", "Of the live database as it was; listed with the others afterwards."),
        ("compare", "Rows of every table, keys and indexes against what was dumped."),
        ("cut-over", "The only time without a database: measured, usually below a second."),
        ("undo", "Both names change back; what was written since the cut-over is put aside."),
        ("finish", "The database that was put aside is dropped; after that there is no undo."),
    )

    def compose(self) -> ComposeResult:
        yield Static(classes="headline", markup=False)
        with VerticalScroll():
            yield Static(id="restore-steps", markup=False)

    def __init__(self) -> None:
        super().__init__()
        self.outlook: Outlook | None = None
        self._directory: Path | None = None

    @property
    def stage(self) -> int:
        return self.outlook.stage if self.outlook else 4

    def follow(self, directory: Path) -> None:
        """Show this restore, whoever began it, and follow it."""
        self._directory = directory
        self.outlook = None
        self.again()

    def again(self) -> None:
        if self._directory is not None:
            self._watch(self._directory)

    @work(group="watch", exclusive=True)
    async def _watch(self, directory: Path) -> None:
        while True:
            try:
                outlook = await asyncio.to_thread(look, directory, datetime.now(UTC))
            except ConsoleError as error:
                self.lose(error)
            else:
                if not self.app.is_running:
                    return
                self.show(outlook)
            await asyncio.sleep(WATCH_SECONDS)

    def show(self, outlook: Outlook) -> None:
        if self.outlook == outlook:
            return
        changed = self.outlook is None or self.outlook.actions != outlook.actions
        self.outlook = outlook
        self.say(headline(outlook.severity, outlook.verdict, outlook.reason))
        self.query_one("#restore-steps", Static).update(_body(outlook))
        self.wizard.moved()
        if changed:
            self.refresh_bindings()

    def lose(self, error: ConsoleError) -> None:
        """Its files cannot be read just now; what was read last stays below."""
        self.say(headline(Severity.UNKNOWN, error.message, error.hint))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what may be done now is offered; the server's side checks it again."""
        if action in _ACTING:
            return self._next(action) is not None
        return action != "new" or (self.outlook is not None and not self.is_at_work)

    @property
    def is_at_work(self) -> bool:
        return self.outlook is not None and self.outlook.status.running is not None

    def _next(self, action: str) -> NextAction | None:
        offered = self.outlook.actions if self.outlook is not None else ()
        return next((found for found in offered if _key_action(found) == action), None)

    def action_cut_over(self) -> None:
        self._ask("cut_over", "resume", "Cut over now?")

    def action_resume(self) -> None:
        self._do("resume")

    def action_abort(self) -> None:
        self._ask("abort", "abort", "Abort this restore?")

    def action_undo(self) -> None:
        self._ask("undo", "undo", "Put the old database back?")

    def action_finish(self) -> None:
        self._ask("finish", "finish", "Drop the database that is kept?")

    def action_new(self) -> None:
        self.wizard.choose()

    def _ask(self, name: str, action: Action, question: str) -> None:
        found = self._next(name)
        if found is None:
            return

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._do(action, confirmed=name == "cut_over")

        risk = _RISKS[name]
        dialog = ConfirmDialog(question, found.meaning, risk, typed=found.typed or None)
        self.app.push_screen(dialog, answered)

    def _do(self, action: Action, *, confirmed: bool = False) -> None:
        if self.outlook is not None:
            status = self.outlook.status
            self.wizard.go_on(status, action, confirmed=confirmed)


def _body(outlook: Outlook) -> RenderableType:
    parts: list[RenderableType] = [_where(outlook), _steps(outlook)]
    parts += [
        Text("! ", "yellow").append_text(many_lines(warning))
        for warning in outlook.status.state.warnings
    ]
    if outlook.actions:
        parts += [Text(), _actions(outlook.actions)]
    if outlook.status.running is not None:
        parts.append(Text("esc leaves; the restore goes on, and F9 shows it again.", "dim"))
    return Group(*parts)


def _where(outlook: Outlook) -> Text:
    options = outlook.status.options
    words = f"'{options.database}' on {options.place}"
    text = one_line(words, "dim")
    return text.append(f"  {units.duration(round(outlook.seconds, 1))}", "dim")


def _steps(outlook: Outlook) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_column(no_wrap=True, justify="right")
    for step in outlook.steps:
        glyph, colour = _LOOK[step.state]
        grid.add_row(Text(glyph, colour), _words(step), Text(_took(step), "dim"))
        if step.state is StepState.AT_WORK and outlook.meter is not None:
            grid.add_row("", _meter(outlook.meter), "")
    return grid


def _words(step: StepLine) -> Text:
    text = one_line(step.words, _LOOK[step.state][1] if step.state is not StepState.DONE else "")
    if step.state in (StepState.FAILED, StepState.BROKEN):
        text.append(f"  {step.state}", _LOOK[step.state][1])
    if step.note:
        text.append("  skipped: ", "yellow").append_text(one_line(step.note, "yellow"))
    return text


def _took(step: StepLine) -> str:
    return "" if step.seconds is None else units.duration(step.seconds)


def _meter(meter: Meter) -> Text:
    text = Text()
    if meter.share is not None:
        filled = round(BAR_WIDTH * meter.share)
        text.append("━" * filled, "green").append("━" * (BAR_WIDTH - filled), "dim")
        text.append(f" {_amount(meter)}  ")
    return text.append_text(one_line(meter.words, "dim"))


def _amount(meter: Meter) -> str:
    if meter.in_bytes:
        return f"{units.size(meter.done)} of about {units.size(meter.expected)}"
    return f"{meter.done} of {meter.expected} entries"


def _actions(actions: tuple[NextAction, ...]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for action in actions:
        key, words = key_of(action)
        name = Text.assemble((f" {key} ", "reverse bold"), (f" {words}", "bold"))
        grid.add_row(name, many_lines(action.meaning))
    return grid


def _key_action(action: NextAction) -> str:
    """What the key's action is called: the cut-over is a resume that asks for the name."""
    return "cut_over" if action.action == "resume" and action.typed else action.action


def key_of(action: NextAction) -> tuple[str, str]:
    """The key that does it, and what it is called."""
    wanted = _key_action(action)
    key = next(key for key in WIZARD["status"] if key.action == wanted)
    return key.name, key.label
