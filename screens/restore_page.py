"""What every page of the emergency restore has: a headline, its keys, its help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual.binding import BindingType
from textual.containers import Vertical
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from console.findings import Severity
from screens.keys import WIZARD, bindings
from screens.widgets import marks
from screens.widgets.plain import one_line

if TYPE_CHECKING:
    from screens.restore_wizard import RestoreWizard


def headline(severity: Severity, verdict: str, reason: str = "") -> Text:
    """The verdict, then why, in the manner of every tab."""
    text = marks.badge(severity).append("  ").append_text(one_line(verdict, "bold"))
    if reason:
        text.append("\n").append_text(one_line(reason))
    return text


class Page(Vertical):
    """One page of the wizard; its keys are those of the table, under its identity."""

    IDENTITY: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""
    EXPLANATION: ClassVar[str] = ""
    FIGURES: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        cls.BINDINGS = list[BindingType](bindings(WIZARD[cls.IDENTITY]))
        super().__init_subclass__(**arguments)

    def __init__(self) -> None:
        super().__init__(id=self.IDENTITY, classes="restore-page")
        self._said: Text | None = None

    @property
    def wizard(self) -> RestoreWizard:
        """The screen, by its own type."""
        return cast("RestoreWizard", self.screen)

    def say(self, text: Text) -> None:
        """The page's headline, drawn only when it differs."""
        if self._said != text:
            self._said = text
            self.query_one(".headline", Static).update(text)

    @property
    def stage(self) -> int:
        """The wizard's step, 1 to 9."""
        raise NotImplementedError

    @property
    def first_focus(self) -> Widget | None:
        return next((child for child in self.query("*") if child.focusable), None)

    def again(self) -> None:
        """Ask everything on this page again."""

    def leave(self) -> None:
        """Another page comes to the front: what is being asked is given up."""
        self.workers.cancel_node(self)


STAGES = (
    ("choose", "choose"),
    ("preflight", "check"),
    ("plan", "plan"),
    ("safety backup", "safety"),
    ("restore", "restore"),
    ("compare", "compare"),
    ("cut-over", "cut"),
    ("report", "report"),
    ("undo or finish", "undo"),
)
"""Each step's name, and its short name for a narrow terminal."""


class StageStrip(Static):
    """The steps, the present one marked; the first three can be gone back to by a click."""

    stage: reactive[int] = reactive(1)

    class Chosen(Message):
        """A step was clicked."""

        def __init__(self, stage: int) -> None:
            super().__init__()
            self.stage = stage

    def __init__(self) -> None:
        super().__init__(markup=False, id="stage-strip")

    def labels(self) -> list[str]:
        full = [f" {number} {name} " for number, (name, _) in enumerate(STAGES, 1)]
        if sum(map(len, full)) <= self.size.width:
            return full
        return [f" {number} {name}" for number, (_, name) in enumerate(STAGES, 1)]

    def render(self) -> Text:
        line = Text(no_wrap=True)
        for number, label in enumerate(self.labels(), 1):
            style = "reverse bold" if number == self.stage else ""
            line.append(label, style or ("" if number < self.stage else "dim"))
        return line

    def on_click(self, event: Click) -> None:
        position = 0
        for number, label in enumerate(self.labels(), 1):
            position += len(label)
            if event.x < position:
                self.post_message(self.Chosen(number))
                return
