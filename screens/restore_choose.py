"""The first page of the emergency restore: which backup, from where, to which server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Static

from console import units
from console.backup.describe import details
from console.errors import ConsoleError
from console.restore.choices import Choice, Choices, offer
from console.restore.outlook import last_over, last_words
from console.restore.reach import WITHOUT, Reach, reach
from console.restore.status import Status
from screens.restore_dialogs import PromptDialog
from screens.restore_page import Page, headline
from screens.widgets import marks
from screens.widgets.dialogs import ChoiceDialog, DetailDialog
from screens.widgets.plain import many_lines, one_line
from screens.widgets.record_table import Column
from screens.widgets.steady_table import SteadyTable


class ChoiceTable(SteadyTable[Choice]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "choose")]


def _recommended(choice: Choice) -> Text:
    return Text("★", "bold green") if choice.recommended else Text(" ")


def _expected(choice: Choice) -> str:
    return f"~{units.duration(choice.time.seconds)}" if choice.time.seconds else "-"


def _size(choice: Choice) -> str:
    manifest = choice.backup.manifest
    return units.size(manifest.bytes) if manifest else "-"


def _tier(choice: Choice) -> str:
    return str(choice.backup.tier or "?")


def _proof(choice: Choice) -> Text:
    return one_line(choice.proof, marks.style(choice.severity))


CHOICE_COLUMNS = (
    Column[Choice]("", _recommended, width=1),
    Column[Choice]("made", lambda choice: choice.age, width=13),
    Column[Choice]("tier", _tier, priority=1, width=14),
    Column[Choice]("size", _size, right=True, width=8),
    Column[Choice]("restore", _expected, right=True, width=8),
    Column[Choice]("proof", _proof, width=26),
)


class ChoosePage(Page):
    IDENTITY = "choose"
    TITLE = "1 Choose a backup"
    EXPLANATION = """
Which backup shall come back. The recommended one carries a star: the newest that was read to its
end and found whole. Nothing is changed by choosing; the next page looks whether it fits the server.
"""
    FIGURES = (
        ("★", "Recommended; the line on top says why."),
        ("made", "When its snapshot was taken: what was written later is not in it."),
        ("restore", "How long it should take: by a drill of it or of another, else a guess."),
        ("verified", "Every file was read to its end and agrees with its manifest."),
        ("drilled", "It was restored into a scratch database and compared; that took so long."),
    )

    def __init__(self) -> None:
        super().__init__()
        self._everybody = False
        self._choices: Choices | None = None
        self._reach: Reach | None = None
        self._last: Status | None = None
        self._remark = ""

    def compose(self) -> ComposeResult:
        yield Static(Text("Reading the backups…", "dim"), classes="headline", markup=False)
        yield ChoiceTable(CHOICE_COLUMNS, lambda choice: str(choice.backup.path), id="choices")
        yield Static(classes="foot", markup=False)

    @property
    def table(self) -> ChoiceTable:
        return self.query_one(ChoiceTable)

    @property
    def stage(self) -> int:
        return 1

    def again(self) -> None:
        """Read the backup directory, then ask the server."""
        self._load()

    @work(group="load", exclusive=True)
    async def _load(self) -> None:
        wizard = self.wizard
        self._reach = None
        self._choices = await asyncio.to_thread(self._read)
        self._show()
        self._reach = await reach(wizard.target)
        self._show()

    def _read(self) -> Choices:
        wizard, now = self.wizard, datetime.now(UTC)
        try:
            self._last = last_over()
            self._remark = last_words(self._last, now) if self._last else ""
        except ConsoleError as error:
            self._last, self._remark = None, str(error)
        stores = wizard.settings.offsite
        return offer(wizard.store, wizard.owner, now, everybody=self._everybody, stores=stores)

    def _show(self) -> None:
        if self._choices is None or not self.app.is_running:
            return
        remarks = [self.wizard.notice] * bool(self.wizard.notice)
        if self._last is not None:
            remarks.append(f"{self._remark} v shows it.")
        self.show(self._choices, self._reach, remarks)
        self.refresh_bindings()

    def show(self, choices: Choices, reach: Reach | None, remarks: Sequence[str]) -> None:
        """`reach` is None until the server has answered; `remarks` are told below the verdict."""
        text = headline(choices.severity, choices.verdict, choices.reason)
        for remark in remarks:
            text.append("\n").append_text(one_line(remark, "yellow"))
        self.say(text)
        first = not self.table.row_count
        self.table.show(choices.choices)
        recommended = choices.recommended
        if first and recommended is not None:
            self.table.select(str(recommended.backup.path))
        self.query_one(".foot", Static).update(_foot(choices, reach))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what there is something to do with."""
        if action in ("choose", "detail"):
            return self.table.selected is not None
        if action == "last":
            return self._last is not None
        return action != "target" or len(self.wizard.settings.targets) > 1

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        choice = self.table.selected
        if choice is None:
            return
        self.wizard.examine(choice.backup.id if choice.is_own else str(choice.backup.path))

    def action_detail(self) -> None:
        choice = self.table.selected
        if choice is not None:
            policy = self.wizard.settings.backups.retention
            text = details(choice.backup, policy, datetime.now(UTC))
            self.app.push_screen(
                DetailDialog(choice.backup.id, many_lines(text), str(choice.backup.path))
            )

    def action_path(self) -> None:
        def typed(path: str | None) -> None:
            if path:
                # Else a bare name would be looked for among the backups' ids.
                self.wizard.examine(str(Path(path).expanduser().absolute()))

        words = (
            "Any dump: a custom, directory or tar archive of pg_dump, or plain SQL, gzipped too."
        )
        self.app.push_screen(PromptDialog("Restore from a dump file", words), typed)

    def action_all(self) -> None:
        self._everybody = not self._everybody
        self.again()

    def action_target(self) -> None:
        choices = [(name, "") for name in sorted(self.wizard.settings.targets)]

        def chosen(name: str | None) -> None:
            if name is not None:
                self.wizard.aim_at(name)

        self.app.push_screen(ChoiceDialog("Restore to the server of", choices), chosen)

    def action_last(self) -> None:
        if self._last is not None:
            self.wizard.attach(self._last.directory)


def _foot(choices: Choices, reach: Reach | None) -> Text:
    text = Text()
    if reach is None:
        text.append("Asking the server…", "dim")
    else:
        text.append_text(marks.mark(reach.severity)).append("  ")
        text.append_text(one_line(reach.message))
        if not reach.answers:
            text.append("\n").append_text(one_line(f"→ {reach.hint}  r asks again."))
            text.append("\n").append(WITHOUT, "dim")
    text.append("\n").append_text(one_line(f"backups in {choices.directory}", "dim"))
    return text
