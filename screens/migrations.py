"""Migrations: what Prisma applied, whether the database still is that, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import DataTable, Static

from console import units
from console.errors import ActionRefused, ConsoleError
from console.findings import Severity
from console.migrations import text
from console.migrations.folder import Folder, folder_of, read_folder
from console.migrations.history import Entry, History, State, read_history
from screens.keys import TABS, Key
from screens.migration_details import (
    drift_body,
    drift_line,
    migration_body,
    plan_body,
    rollback_risk,
)
from screens.restore_dialogs import PromptDialog
from screens.widgets import marks
from screens.widgets.dialogs import ChoiceDialog, ConfirmDialog, DetailDialog
from screens.widgets.plain import one_line
from screens.widgets.record_table import Column, RecordTable
from screens.widgets.running import WaitingDialog
from screens.widgets.tab import Tab

if TYPE_CHECKING:
    from console.migrations.drift import Drift
    from console.migrations.rollback import RollbackPlan


@dataclass(frozen=True, slots=True)
class Reading:
    """What the tab shows, as of `at`."""

    at: datetime
    history: History
    folder: Folder | None
    no_folder: str = ""
    """Why there is none, with what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    entry: Entry
    age: str


_SHORT = {State.EDITED: "edited", State.UNKNOWN: "unknown"}


def _state(line: Line) -> Text:
    entry = line.entry
    glyph = marks.mark(entry.severity)
    return Text(
        f"{glyph.plain.partition(' ')[0]} {_SHORT.get(entry.state, entry.state)}",
        marks.style(entry.severity),
    )


def _checksum(line: Line) -> Text:
    agrees = line.entry.checksum_agrees
    if agrees is None:
        return Text("-", "dim")
    return Text("agrees", "green") if agrees else Text("differs", "bold red")


def _took(line: Line) -> str:
    return units.duration(line.entry.seconds)


COLUMNS = (
    Column[Line]("state", _state, lambda line: line.entry.severity.rank, width=13),
    Column[Line]("migration", lambda line: one_line(line.entry.name), width=50),
    Column[Line]("applied", lambda line: line.age, lambda line: line.entry.applied_at, width=11),
    Column[Line]("took", _took, lambda line: line.entry.seconds, right=True, priority=2, width=8),
    Column[Line]("checksum", _checksum, priority=1, width=9),
    Column[Line]("tries", lambda line: str(line.entry.attempts), right=True, priority=3, width=5),
    Column[Line]("remark", lambda line: one_line(line.entry.remark), priority=4, width=30),
)

_PLACES = [
    ("temporary", "a PostgreSQL of our own, started for it: the live server is only read"),
    ("server", "scratch databases on the live server, dropped afterwards"),
]


class MigrationsTab(Tab):
    IDENTITY = "migrations"
    TITLE = "Migrations"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["migrations"]
    EXPLANATION = """
Prisma's history of migrations against the project's folder, judged as `migrate deploy` would.
Drift replays the folder into a scratch database and compares every object with this one, and
schema.prisma with the folder. A rollback plan is the SQL back to the selected migration.
"""
    FIGURES = (
        ("applied", "Finished, and its file is the one that was applied."),
        ("pending", "In the folder, not in the database: deploy will apply it."),
        ("failed", "It began and did not finish, and nobody holds Prisma's lock."),
        ("running", "The same, while somebody holds Prisma's lock."),
        ("rolled back", "Marked so: deploy will apply it again."),
        ("edited", "Its file was changed after it was applied; line ends do not count."),
        ("unknown", "Applied, but not in the folder."),
        ("took", "From the beginning to the end of the attempt that counts."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.shown: Reading | None = None
        self._named: Path | None = None
        self._drift: Drift | None = None
        self._plan: RollbackPlan | None = None

    @property
    def table(self) -> RecordTable[Line]:
        return self.query_one("#migrations-table", RecordTable)

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Reading…", style="dim"), classes="headline", markup=False)
        yield RecordTable[Line](COLUMNS, lambda line: line.entry.name, id="migrations-table")

    def first_focus(self) -> Widget | None:
        return self.table

    async def load(self) -> Reading:
        target = self.console.target
        folder, why = None, ""
        try:
            folder = await asyncio.to_thread(lambda: read_folder(folder_of(target, self._named)))
        except ActionRefused as error:
            why = f"{error.message} Press f to name it."
        history = await read_history(self.session, folder, target.schema)
        return Reading(datetime.now(UTC), history, folder, why)

    def show(self, value: Reading) -> None:
        self.shown = value
        self._draw_headline()
        self.refilter()
        if value.history.table is not None:
            self.console.judged(self.IDENTITY, value.history.verdict)

    def _draw_headline(self) -> None:
        if self.shown is not None:
            self.query_one(".headline", Static).update(headline(self.shown, self._drift))

    def refilter(self) -> None:
        if self.shown is None:
            return
        at = self.shown.at
        self.table.show(
            [
                Line(entry, units.age(entry.applied_at, at) if entry.applied_at else "-")
                for entry in reversed(self.shown.history.entries)
                if self.filter_text in f"{entry.name} {entry.state}".casefold()
            ]
        )

    def copied_text(self) -> str | None:
        line = self.table.selected
        return (line.entry.fix or line.entry.name) if line else None

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_sort(self) -> None:
        self.table.sort_next()

    def action_reverse(self) -> None:
        self.table.reverse()

    def action_detail(self) -> None:
        line = self.table.selected
        if line is None or self.shown is None:
            return
        folder = self.shown.folder
        script = folder.script_of(line.entry.name) if folder is not None else None
        body = migration_body(line.entry, script)
        self.app.push_screen(DetailDialog(line.entry.name, body, script or line.entry.name))

    def action_folder(self) -> None:
        def named(path: str | None) -> None:
            if path:
                self._named = Path(path).expanduser()
                self._drift = self._plan = None
                self.action_reload()

        words = "The folder that holds <stamp>_<name>/migration.sql:"
        shown = self.shown.folder if self.shown is not None else None
        given = str(shown.path) if shown else "prisma/migrations"
        self.app.push_screen(PromptDialog("Migrations folder", words, given), named)

    def action_drift(self) -> None:
        ready = self._ready()
        if ready is None:
            return
        folder, history = ready

        def found(drift: Drift) -> None:
            self._drift = drift
            self._draw_headline()
            told = text.drift(drift)
            self.app.push_screen(DetailDialog("Drift", drift_body(drift), told))

        def ask(on_server: bool, report: Callable[[str], None]) -> Awaitable[Drift]:
            from console.migrations.drift import find_drift
            from console.migrations.prisma_schema import schema_file_of

            return find_drift(
                self.console.target,
                folder,
                history,
                on_live_server=on_server,
                schema_file=schema_file_of(folder.path),
                report=report,
            )

        self._choose_place("Replay the migrations in", "Looking for drift", ask, found)

    def action_plan(self) -> None:
        ready, line = self._ready(), self.table.selected
        if ready is None or line is None:
            return
        folder, history = ready
        name = line.entry.name

        def found(plan: RollbackPlan) -> None:
            self._plan = plan
            self.app.push_screen(DetailDialog(f"Back to {name}", plan_body(plan), text.plan(plan)))

        def ask(on_server: bool, report: Callable[[str], None]) -> Awaitable[RollbackPlan]:
            from console.migrations.rollback import plan_rollback

            return plan_rollback(
                self.console.target,
                folder,
                history,
                name,
                on_live_server=on_server,
                report=report,
            )

        self._choose_place(f"Plan the way back to {name} in", "Planning a rollback", ask, found)

    def action_roll_back(self) -> None:
        """Only what was planned, and so seen, can be run."""
        line, plan = self.table.selected, self._plan
        if line is None:
            return
        if plan is None or plan.name != line.entry.name:
            self.console.say("Press p first: the plan of this migration has to be read.")
            return
        if plan.drift:
            self.console.say(
                "The database has drifted: d shows where. Close that, then plan again."
            )
            return
        target = self.console.target

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._roll_back(plan, target.dbname)

        self.app.push_screen(
            ConfirmDialog(
                f"Go back to {plan.name}?",
                "\n".join(f"undoes {name}" for name in plan.undone),
                f"{rollback_risk(plan)}\nA backup is made and verified first; then the"
                f" {len(plan.script.statements)} statements of the plan run in one transaction.",
                typed=target.dbname,
            ),
            answered,
        )

    def _roll_back(self, plan: RollbackPlan, typed: str) -> None:
        def done(backup: str) -> None:
            self._plan = self._drift = None
            self.console.say(f"Rolled back to {plan.name}, behind the backup {backup}.")
            self.action_reload()

        def ask(report: Callable[[str], None]) -> Awaitable[str]:
            from console.migrations.undo import roll_back

            return roll_back(self.console.target, self.console.settings, plan, typed, report)

        self._wait("Rolling back", "A backup first, then one transaction.", ask, done)

    def _ready(self) -> tuple[Folder, History] | None:
        """What drift and plans need; says what is missing."""
        if self.shown is None:
            return None
        if self.shown.folder is None:
            self.console.say(self.shown.no_folder)
            return None
        return self.shown.folder, self.shown.history

    def _choose_place(
        self,
        title: str,
        what: str,
        ask: Callable[[bool, Callable[[str], None]], Awaitable[Any]],
        found: Callable[[Any], None],
    ) -> None:
        """Where to make scratch databases; the live server only when it is chosen here."""
        places = _PLACES[:1] if self.console.read_only else _PLACES

        def chosen(place: str | None) -> None:
            if place is not None:
                on_server = place == "server"
                words = f"In {dict(_PLACES)[place]}."
                self._wait(what, words, lambda report: ask(on_server, report), found)

        self.app.push_screen(ChoiceDialog(title, places), chosen)

    def _wait(
        self,
        title: str,
        words: str,
        ask: Callable[[Callable[[str], None]], Awaitable[Any]],
        found: Callable[[Any], None],
    ) -> None:
        dialog: WaitingDialog[Any]

        def ended(answer: Any) -> None:
            if isinstance(answer, ConsoleError):
                self.app.push_screen(DetailDialog(answer.title, Text(str(answer)), str(answer)))
            elif answer is not None:
                found(answer)
            else:
                self.console.say("Canceled; nothing was changed.")

        dialog = WaitingDialog(title, words, ask(lambda line: dialog.tell(line)))
        self.app.push_screen(dialog, ended)


def headline(shown: Reading, drift: Drift | None) -> Text:
    """The verdict, the folder, and what is known of drift."""
    history = shown.history
    if history.table is None and history.problem is None:
        line = marks.badge(Severity.INFO)
        return line.append("  This database has no _prisma_migrations: Prisma never migrated it.")
    line = marks.badge(history.verdict).append("  ")
    line.append_text(one_line(history.summary, "bold"))
    if history.problem is not None and history.problem.hint:
        line.append("\n→ ").append_text(one_line(history.problem.hint))
    if history.lock_holder is not None:
        line.append(f"\nBackend {history.lock_holder} migrates now.", "bold cyan")
    if drift is not None:
        line.append("\n").append_text(drift_line(drift))
    elif shown.folder is not None:
        line.append("\ndrift: ", "dim").append("not looked for yet; d does", "dim")
    where = str(shown.folder.path) if shown.folder is not None else shown.no_folder
    return line.append("\nfolder: ", "dim").append_text(one_line(where))
