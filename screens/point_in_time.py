"""Point in time: what can be recovered as a line, what happened in it, and the way back to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from console import units
from console.errors import ConsoleError
from console.findings import Severity, worst
from console.pitr.audit import Audit, audit
from console.pitr.base import Base
from console.pitr.describe import audit_text, drill_text, side_text, stop_text
from console.pitr.drill import drill
from console.pitr.side import Side, drop, recover, sides
from console.pitr.status import Status, ask_status
from console.pitr.targets import Stop, Wanted, resolve
from console.pitr.timeline import Cell, Line, Row, RowKind, line, rows
from console.pitr.tooling import tools_for
from console.pitr.words import moment
from console.settings import Settings
from console.target import Target
from console.tools import Tools
from screens.keys import POINT_IN_TIME, bindings
from screens.restore_dialogs import PromptDialog
from screens.widgets import marks
from screens.widgets.dialogs import ConfirmDialog, DetailDialog, help_body
from screens.widgets.key_bar import KeyBar
from screens.widgets.plain import many_lines, one_line
from screens.widgets.record_table import Column, RecordTable
from screens.widgets.running import WaitingDialog

if TYPE_CHECKING:
    from screens.app import ConsoleApp

_REFRESH_SECONDS = 2.0
_SHOWN_FINDINGS = 3
_EXPLANATION = """
Any moment on the solid line can be gone back to: a copy of the server is recovered beside it, on a
private socket, paused there and read-only. The live server is not touched. What is wanted is then
taken from the copy, by the commands that its details show.
"""
_FIGURES = (
    ("━", "Recoverable: a base backup leads there, and all WAL behind it is here."),
    ("╌", "Not recoverable: WAL is missing, or nothing was received."),
    ("▲", "A base backup; recovery begins at the newest one before the moment."),
    ("◆", "A notable moment: much deleted, dropped, emptied, migrated, or named."),
    ("recovery point", "How much would be lost if the server were gone now."),
)
_STYLES = {
    RowKind.LATEST: "bold green",
    RowKind.MOMENT: "bold yellow",
    RowKind.BASE: "cyan",
    RowKind.GAP: "bold red",
    RowKind.SIDE: "bold magenta",
}

COLUMNS = (
    Column[Row]("what", lambda row: Text(row.kind, _STYLES[row.kind]), width=12),
    Column[Row]("when", lambda row: moment(row.at) if row.at else "-", width=24),
    Column[Row]("where", lambda row: one_line(row.place), priority=1, width=14),
    Column[Row]("", lambda row: one_line(row.words), width=34, fills=True),
)


@dataclass(frozen=True, slots=True)
class Shown:
    status: Status
    sides: tuple[Side, ...]


class PointInTimeScreen(ModalScreen[None]):
    """Opens over the Backups tab; what it begins can be stopped with esc while it waits."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(POINT_IN_TIME)]

    def __init__(self, target: Target, settings: Settings) -> None:
        super().__init__()
        self.target = target
        self.settings = settings
        self.shown: Shown | None = None

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def table(self) -> RecordTable[Row]:
        return self.query_one("#moments", RecordTable)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without what acts, when the console is read-only."""
        acts = any(key.acts for key in POINT_IN_TIME if key.action == action)
        return not (acts and self.console.read_only)

    def compose(self) -> ComposeResult:
        yield Static(Text("Reading…", style="dim"), id="pitr-headline", markup=False)
        yield Static(id="pitr-line", markup=False)
        yield RecordTable[Row](COLUMNS, lambda row: row.key, id="moments")
        yield KeyBar()

    def on_mount(self) -> None:
        self.table.focus()
        self._read_on()

    def on_resize(self) -> None:
        self._draw_line()

    def _read_on(self) -> None:
        async def run() -> None:
            while True:
                await self._read()
                await asyncio.sleep(_REFRESH_SECONDS)

        self.run_worker(run(), group="read", exclusive=True)

    async def _read(self) -> None:
        try:
            status = await ask_status(self.target, self.settings)
            found = await asyncio.to_thread(sides, status.archive, self.settings)
        except ConsoleError as error:
            text = marks.badge(Severity.UNKNOWN).append("  ").append_text(many_lines(str(error)))
            self.query_one("#pitr-headline", Static).update(text)
            return
        self.shown = Shown(status, found)
        self.query_one("#pitr-headline", Static).update(_headline(status))
        self._draw_line()
        self.table.show(rows(status, found))

    def _draw_line(self) -> None:
        if self.shown is not None:
            made = line(self.shown.status, max(20, self.size.width - 4))
            self.query_one("#pitr-line", Static).update(_drawn(made) if made else "")

    def action_again(self) -> None:
        self._read_on()

    def action_help(self) -> None:
        body = help_body(_EXPLANATION, _FIGURES, [("Keys", POINT_IN_TIME)])
        self.app.push_screen(DetailDialog("Point in time: help", body))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_detail(self) -> None:
        row = self.table.selected
        if row is not None:
            text, copied = _details(row)
            self.app.push_screen(DetailDialog(str(row.kind), text, copied))

    def action_findings(self) -> None:
        if self.shown is not None:
            self.app.push_screen(DetailDialog("What is well and what is not", _all(self.shown)))

    def action_restore(self) -> None:
        """To the selected moment."""
        row = self.table.selected
        if row is None or row.wanted is None:
            self.console.say("Select a moment to go back to, or press t to name a time.")
            return
        self._go_to(row.wanted)

    def action_restore_time(self) -> None:
        """To a time that is typed."""
        at = self.shown.status.windows[-1].to_time if self._windows() and self.shown else None

        def typed(text: str | None) -> None:
            if text:
                try:
                    self._go_to(Wanted("time", Wanted("time", text).time.isoformat()))
                except ConsoleError as error:
                    self.console.say(str(error), error=True)

        words = "A time with its offset, or how long ago: 5 min ago. Nothing is done yet."
        self.app.push_screen(PromptDialog("Go back to", words, moment(at) if at else ""), typed)

    def _windows(self) -> bool:
        return self.shown is not None and bool(self.shown.status.windows)

    def _go_to(self, wanted: Wanted) -> None:
        if self.shown is None:
            return
        archive = self.shown.status.archive

        async def look() -> tuple[Stop, Tools]:
            tools = await tools_for(archive.info.major, self.settings)
            return await resolve(archive, wanted, tools), tools

        def found(answer: tuple[Stop, Tools] | ConsoleError | None) -> None:
            if isinstance(answer, ConsoleError):
                self.console.say(str(answer), error=True)
            elif answer is not None:
                self._confirm(*answer)

        title = f"Looking for {wanted.words}"
        waiting = WaitingDialog(title, "The record to stop at is looked up in the WAL.", look())
        self.app.push_screen(waiting, found)

    def _confirm(self, stop: Stop, tools: Tools) -> None:
        risk = "A copy is recovered beside the live server, which is not touched."

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._recover(stop, tools)

        dialog = ConfirmDialog("Go back?", stop_text(stop).rstrip(), risk)
        self.app.push_screen(dialog, answered)

    def _recover(self, stop: Stop, tools: Tools) -> None:
        if self.shown is None:
            return
        archive = self.shown.status.archive
        waiting: WaitingDialog[Side]
        work = recover(archive, self.settings, stop, tools, lambda phase: waiting.tell(phase))
        waiting = WaitingDialog("Recovering", stop_text(stop).rstrip(), work)

        def done(answer: Side | ConsoleError | None) -> None:
            if isinstance(answer, ConsoleError):
                self.console.say(str(answer), error=True)
            elif answer is not None:
                text = side_text(answer)
                self.app.push_screen(DetailDialog("Recovered", many_lines(text), answer.dsn))
            self._read_on()

        self.app.push_screen(waiting, done)

    def action_audit(self) -> None:
        if self.shown is None:
            return
        archive = self.shown.status.archive
        waiting: WaitingDialog[Audit]
        work = audit(archive, self.settings, lambda phase: waiting.tell(phase))
        waiting = WaitingDialog("Audit", "Every segment is read and compared.", work)

        def done(answer: Audit | ConsoleError | None) -> None:
            if isinstance(answer, ConsoleError):
                self.console.say(str(answer), error=True)
            elif answer is not None:
                self.app.push_screen(DetailDialog("Audit", many_lines(audit_text(answer))))

        self.app.push_screen(waiting, done)

    def action_drill(self) -> None:
        if self.shown is None:
            return
        archive = self.shown.status.archive
        waiting: WaitingDialog[Base]

        async def work() -> Base:
            tools = await tools_for(archive.info.major, self.settings)
            return await drill(archive, self.settings, self.target, tools, waiting.tell)

        waiting = WaitingDialog("Drill", "Any moment is recovered, checked and dropped.", work())

        def done(answer: Base | ConsoleError | None) -> None:
            if isinstance(answer, ConsoleError):
                self.console.say(str(answer), error=True)
            elif answer is not None:
                self.app.push_screen(DetailDialog("Drill", many_lines(drill_text(answer))))
            self._read_on()

        self.app.push_screen(waiting, done)

    def action_drop(self) -> None:
        row = self.table.selected
        if row is None or row.side is None:
            self.console.say("Select a side server to drop it.")
            return
        side = row.side

        def answered(agreed: bool | None) -> None:
            if agreed:
                self.run_worker(self._drop(side), group="drop")

        risk = "It is stopped and removed; the archive and the live server stay as they are."
        dialog = ConfirmDialog("Drop the side server?", side_text(side).rstrip(), risk)
        self.app.push_screen(dialog, answered)

    async def _drop(self, side: Side) -> None:
        try:
            await asyncio.to_thread(drop, side)
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        self._read_on()


def _headline(status: Status) -> Text:
    """The verdict, how far back and forward one can go, then what is not well."""
    text = marks.badge(worst(status.findings)).append("  ")
    text.append_text(one_line(_reach(status), "bold"))
    state = status.state
    if state is not None and state.recovery_time is not None:
        lost = units.duration(round(status.recovery_age or 0.0, 1))
        told = "receiving" if status.receiver_pid is not None else "nothing receives"
        text.append(
            f"\nrecovery point {lost} old, {told}; WAL {units.size(status.wal_bytes)}", "dim"
        )
    for finding in status.findings[:_SHOWN_FINDINGS]:
        if finding.severity not in (Severity.OK, Severity.INFO):
            text.append("\n").append_text(one_line(finding.message, marks.style(finding.severity)))
    return text


def _reach(status: Status) -> str:
    """How far back one can go, in one short line."""
    last = status.windows[-1] if status.windows else None
    if last is None or last.to_time is None:
        return "Nothing can be recovered to a moment yet."
    length = units.duration(round((last.to_time - last.from_time).total_seconds()))
    more = f", and {len(status.windows) - 1} earlier windows" if len(status.windows) > 1 else ""
    until = units.age(last.to_time, status.at)
    return f"Any moment of {length} up to {until} can be recovered{more}."


def _drawn(made: Line) -> Text:
    """Marks above, the line, and the times at its ends."""
    width = len(made.cells)
    above = [" "] * width
    for number in made.moments:
        above[number] = "◆"
    below = [" "] * width
    for number in made.bases:
        below[number] = "▲"
    text = Text("  ")
    text.append("".join(above), "yellow").append("\n  ")
    for cell in made.cells:
        good = cell is Cell.RECOVERABLE
        text.append("━" if good else "╌", "bold green" if good else "red")
    text.append("\n  ").append("".join(below), "cyan").append("\n  ")
    start, end = moment(made.start), moment(made.end)
    text.append(start, "dim").append(" " * max(1, width - len(start) - len(end)))
    return text.append(end, "dim")


def _details(row: Row) -> tuple[Text, str | None]:
    if row.side is not None:
        return many_lines(side_text(row.side)), row.side.dsn if row.side.running else None
    text = many_lines(f"{row.words}\n\n{moment(row.at)}\n{row.place}\n")
    if row.wanted is None:
        return text, None
    flag = {"xid": "--to-xid", "lsn": "--to-lsn"}.get(row.wanted.kind, "--latest")
    words = [flag, row.wanted.text, "--before" if row.wanted.before else ""]
    command = "medianest-console pitr restore " + " ".join(word for word in words if word)
    return text.append(f"\nR goes there: {row.wanted.words}.\n\n{command}\n"), command


def _all(shown: Shown) -> Text:
    text = Text()
    for finding in shown.status.findings:
        text.append_text(marks.mark(finding.severity)).append("  ")
        text.append_text(one_line(finding.message)).append("\n")
        if finding.fix:
            text.append("   → ").append_text(one_line(finding.fix, "bold")).append("\n")
    return text
