"""Dialogs: read something long, confirm an action with its exact SQL, explain a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from screens.keys import Key


class DetailDialog(ModalScreen[None]):
    """Something to read, scrollable, that can be copied."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "close", key_display="esc"),
        Binding("y", "copy", "copy"),
    ]

    def __init__(self, title: str, body: RenderableType, copied: str | None = None) -> None:
        super().__init__()
        self._title = title
        self._body = body
        self._copied = copied

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._title).markup
            hint = "esc close" + ("   y copy" if self._copied else "") + "   ↑↓ scroll"
            dialog.border_subtitle = hint
            with VerticalScroll():
                yield Static(self._body, markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_copy(self) -> None:
        if self._copied:
            self.app.copy_to_clipboard(self._copied)
            self.notify("Copied.", markup=False)


class ConfirmDialog(ModalScreen[bool]):
    """Shows exactly what will run; `y` runs it, or typing a name where the risk asks for it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "refuse", "no"),
        Binding("n", "refuse", "no", show=False),
        Binding("y", "accept", "yes"),
    ]

    def __init__(self, title: str, statement: str, risk: str, typed: str | None = None) -> None:
        """`typed` is the name to type before it runs; None asks for `y` alone."""
        super().__init__()
        self._title = title
        self._statement = statement
        self._risk = risk
        self._typed = typed

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._title).markup
            dialog.border_subtitle = "esc no" + ("" if self._typed else "   y yes")
            yield Static(self._statement, classes="statement", markup=False)
            yield Static(self._risk, markup=False)
            if self._typed:
                yield Label(f"Type {self._typed} and press enter:", markup=False)
                yield Input()

    def on_mount(self) -> None:
        if self._typed:
            self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value == self._typed:
            self.dismiss(True)
        else:
            self.notify("That is not the name; nothing was done.", markup=False)

    def action_accept(self) -> None:
        if not self._typed:
            self.dismiss(True)

    def action_refuse(self) -> None:
        self.dismiss(False)


class ChoiceDialog(ModalScreen[str]):
    """One of a few: dismissed with the chosen word, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "no")]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        """`choices` are the words, each with what it means."""
        super().__init__()
        self._title = title
        self._choices = tuple(choices)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._title).markup
            dialog.border_subtitle = "enter choose   esc no"
            width = max(len(word) for word, _meaning in self._choices) + 2
            yield OptionList(
                *(
                    Option(Text.assemble((word.ljust(width), "bold"), (meaning, "dim")), id=word)
                    for word, meaning in self._choices
                )
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


def help_body(
    explanation: str,
    figures: Sequence[tuple[str, str]],
    groups: Sequence[tuple[str, Sequence[Key]]],
) -> RenderableType:
    """The text of a tab's help: what it is for, what its figures mean, then its keys."""
    parts: list[RenderableType] = [Text(" ".join(explanation.split())), Text()]
    if figures:
        parts += [
            _definitions([(Text(name, "bold"), meaning) for name, meaning in figures]),
            Text(),
        ]
    for title, keys in groups:
        if keys:
            rows = [(Text(key.name, "bold", justify="right"), key.meaning) for key in keys]
            parts += [Text(title, "bold underline"), _definitions(rows), Text()]
    return Group(*parts)


def _definitions(rows: Sequence[tuple[Text, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, meaning in rows:
        table.add_row(name, Text(meaning))
    return table
