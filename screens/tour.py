"""The tour: one page on the first visit, closed by any key; the palette shows it again."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.tabs import TABS, TabEntry

_PROMISE = "Looking never changes anything: the server itself refuses writes to these tabs."
_KEYS = (
    ("?", "explains a tab, its figures and its keys"),
    ("^p", "finds every command by name, this tour too"),
    ("enter", "shows all about a row; esc closes it, / filters rows"),
    ("B K R", "upper case acts, and shows first what it will do"),
    ("F9", "when data is lost: the guided restore"),
)


class TourDialog(ModalScreen[int]):
    """Dismissed with the number of the tab whose key was pressed, else None."""

    def __init__(self, *, read_only: bool) -> None:
        super().__init__()
        self._read_only = read_only

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "MediaNest Console: a short tour"
            dialog.border_subtitle = "any key closes this"
            yield Static(body(TABS, acts=not self._read_only))

    def on_key(self, event: Key) -> None:
        event.stop()
        keys = [entry.key for entry in TABS]
        self.dismiss(keys.index(event.key) if event.key in keys else None)


def body(tabs: Sequence[TabEntry], *, acts: bool) -> RenderableType:
    """The promise, what each tab answers, and the keys to begin with."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, justify="right", style="bold")
    table.add_column(no_wrap=True)
    for entry in tabs:
        table.add_row(entry.key, Text.assemble((f"{entry.title:14}", "bold"), _short(entry)))
    table.add_row("", "")
    for key, meaning in _KEYS:
        if acts or key not in ("B K R", "F9"):
            table.add_row(key, meaning)
    return Group(Text(_PROMISE), Text(), table)


def _short(entry: TabEntry) -> str:
    """The question's beginning: 'Who is at work?'."""
    return re.split("[?,]", entry.question, maxsplit=1)[0] + "?"
