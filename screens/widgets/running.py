"""Dialogs for what takes a while: an action with its live progress, a count that can be stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from console import units
from console.actions import Action, Outcome, Progress, perform
from console.errors import ConsoleError
from console.report import printable
from console.target import Target

BAR_WIDTH = 30

Answer = TypeVar("Answer")


class ActionDialog(ModalScreen[Outcome]):
    """Runs an action as soon as it opens; esc cancels it, and closes when it has ended."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter", "stop_or_close", "close")]

    def __init__(self, target: Target, action: Action) -> None:
        super().__init__()
        self._target = target
        self._action = action
        self._stop = asyncio.Event()
        self._outcome: Outcome | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._action.title).markup
            dialog.border_subtitle = "esc cancel"
            yield Static(self._action.statement, classes="statement", markup=False)
            yield Static("starting", id="progress", markup=False)

    def on_mount(self) -> None:
        self.run_worker(self._perform(), group="action", exclusive=True)

    async def _perform(self) -> None:
        outcome = await perform(self._target, self._action, self._told, self._stop)
        self._outcome = outcome
        self.query_one(".dialog", Vertical).border_subtitle = "esc close"
        self.query_one("#progress", Static).update(_ending(outcome))

    def _told(self, progress: Progress) -> None:
        if self._outcome is None and not self._stop.is_set():
            self.query_one("#progress", Static).update(_meter(progress))

    def action_stop_or_close(self) -> None:
        if self._outcome is not None:
            self.dismiss(self._outcome)
        elif not self._stop.is_set():
            self._stop.set()
            self.query_one("#progress", Static).update(Text("canceling…", "bold"))


def _meter(progress: Progress) -> Text:
    line = Text()
    if progress.fraction is not None:
        filled = round(BAR_WIDTH * progress.fraction)
        line.append("━" * filled, "green").append("━" * (BAR_WIDTH - filled), "dim")
        line.append(f" {units.percent(round(progress.fraction, 2))}  ")
    line.append(printable(progress.phase), "bold")
    line.append(f"\n{progress.detail or ' '}")
    return line.append(f"\nfor {units.duration(round(progress.seconds))}", "dim")


def _ending(outcome: Outcome) -> Text:
    if outcome.is_done:
        line = Text.assemble(("✓ DONE ", "bold green"), printable(outcome.message))
    elif outcome.is_canceled:
        line = Text.assemble(("· CANCELED ", "bold yellow"), printable(outcome.message))
    else:
        line = Text.assemble(("✗ FAILED ", "bold red"), printable(outcome.message))
        if outcome.error is not None and outcome.error.hint:
            line.append(f"\n{printable(outcome.error.hint)}")
    for leftover in outcome.leftovers:
        line.append(f"\nIt left {printable(leftover.name)} behind, not valid: drop it next.")
    return line


class WaitingDialog(ModalScreen["Answer | ConsoleError | None"]):
    """Waits for an answer and says for how long; esc gives up, which cancels it on the server.

    Dismissed with the answer, the ConsoleError that came instead, or None when given up.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "cancel")]

    def __init__(self, title: str, what: str, question: Awaitable[Answer]) -> None:
        super().__init__()
        self._title = title
        self._what = what
        self._question = question
        self._phase = ""
        self._started = time.monotonic()

    def tell(self, phase: str) -> None:
        """What the question is at now."""
        self._phase = phase
        if self.is_mounted:
            self._tick()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._title).markup
            dialog.border_subtitle = "esc cancel"
            yield Static(self._what, markup=False)
            yield Static("", id="waited", markup=False)

    def on_mount(self) -> None:
        self.set_interval(1, self._tick)
        self.run_worker(self._wait(), group="question", exclusive=True)

    async def _wait(self) -> None:
        try:
            answer = await self._question
        except ConsoleError as error:
            self.dismiss(error)
        else:
            self.dismiss(answer)

    def _tick(self) -> None:
        waited = units.duration(round(time.monotonic() - self._started))
        line = Text(f"for {waited}", "dim")
        if self._phase:
            line = Text.assemble((printable(self._phase), "bold"), "\n", line)
        self.query_one("#waited", Static).update(line)

    def action_give_up(self) -> None:
        self.workers.cancel_group(self, "question")
        self.dismiss(None)
