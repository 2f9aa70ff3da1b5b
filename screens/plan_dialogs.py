"""Small questions of the Plans tab: which plan, which values, which options, which file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, SelectionList, Static
from textual.widgets.option_list import Option
from textual.widgets.selection_list import Selection


class ChoiceDialog(ModalScreen["int | None"]):
    """One of several lines; dismissed with its number, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "close")]

    def __init__(self, title: str, lines: Sequence[Text]) -> None:
        super().__init__()
        self._title = title
        self._lines = tuple(lines)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._title).markup
            dialog.border_subtitle = "enter choose   esc close"
            yield OptionList(*(Option(line) for line in self._lines), markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)

    def action_give_up(self) -> None:
        self.dismiss(None)


class ToggleDialog(ModalScreen["frozenset[str] | None"]):
    """Switches to turn on and off; dismissed with the names of those that are on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "apply", priority=True),
        Binding("escape", "give_up", "close"),
    ]

    def __init__(self, title: str, switches: Sequence[tuple[str, str, bool]]) -> None:
        """`switches` are name, meaning, and whether it is on."""
        super().__init__()
        self._title = title
        self._switches = tuple(switches)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._title).markup
            dialog.border_subtitle = "space switch   enter apply   esc close"
            yield SelectionList[str](
                *(
                    Selection(Text.assemble((f"{name:<10}", "bold"), meaning), name, is_on)
                    for name, meaning, is_on in self._switches
                )
            )

    def on_mount(self) -> None:
        self.query_one(SelectionList).focus()

    def action_accept(self) -> None:
        chosen: SelectionList[str] = self.query_one(SelectionList)
        self.dismiss(frozenset(chosen.selected))

    def action_give_up(self) -> None:
        self.dismiss(None)


class FieldsDialog(ModalScreen["list[str] | None"]):
    """Some lines to fill in; enter goes to the next, and at the last one dismisses with all."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "close")]

    def __init__(self, title: str, note: str, labels: Sequence[str], given: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._note = note
        self._labels = tuple(labels)
        self._given = tuple(given)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Text(self._title).markup
            dialog.border_subtitle = "enter next   esc close"
            yield Static(self._note, markup=False)
            with VerticalScroll(can_focus=False):
                for number, label in enumerate(self._labels):
                    yield Label(label, markup=False)
                    value = self._given[number] if number < len(self._given) else ""
                    yield Input(value, compact=True)

    def on_mount(self) -> None:
        self.query(Input).first().focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        fields = list(self.query(Input))
        place = fields.index(event.input)
        if place + 1 < len(fields):
            fields[place + 1].focus()
        else:
            self.dismiss([field.value for field in fields])

    def action_give_up(self) -> None:
        self.dismiss(None)
