"""Dialogs of the emergency restore: a line of text, and the choice among its options."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.restore.plan import Request


class PromptDialog(ModalScreen[str]):
    """Asks for one line; dismissed with it, or None when given up."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "no")]

    def __init__(self, title: str, words: str, value: str = "") -> None:
        super().__init__()
        self._title = title
        self._words = words
        self._value = value

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._title).markup
            dialog.border_subtitle = "enter take it   esc no"
            yield Static(self._words, markup=False)
            yield Input(self._value)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())


def option_choices(request: Request, database: str) -> list[tuple[str, str]]:
    """The options with what each is now, for a ChoiceDialog."""
    into = f"a new database '{request.into}', no cut-over" if request.into else f"'{database}'"
    safety = "made first" if request.safety else "SKIPPED, as you said"
    roles = "created without login" if request.create_roles else "refused"
    return [
        ("name", f"what is restored becomes {into}"),
        ("owner", request.owner or "each object keeps its owner"),
        ("grants", "restored as recorded" if request.privileges else "left out"),
        ("roles", f"missing ones are {roles}"),
        ("locale", request.locale or "as recorded"),
        ("safety backup", safety),
    ]


PROMPTS = {
    "name": (
        "Restore into another name",
        "A new database beside the live one, without a cut-over. Empty: the live name itself,"
        " after you have typed it.",
    ),
    "owner": (
        "Give everything to one role",
        "The role that owns all that is restored, where the recorded roles are not wanted."
        " Empty: each object keeps its owner.",
    ),
    "locale": (
        "Another locale",
        "A libc locale, such as C.UTF-8, where the server lacks the recorded one; sort order may"
        " change. Empty: as recorded.",
    ),
}
"""Options that are a line of text: the dialog's title and its words."""
