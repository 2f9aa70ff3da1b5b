"""Activity: who is connected and what holds them up, in five views on one look at the sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import DataTable, Static

from console import units
from console.errors import ConsoleError
from console.monitor.activity import (
    Sample,
    Summary,
    read_activity,
    read_query,
    running_seconds,
    summary,
)
from console.monitor.guard import Guard, Panel
from console.monitor.intervene import Intervention, cancel, carry_out, terminate
from console.monitor.locks import blocking_tree
from console.monitor.statement_text import laid_out
from console.monitor.waits import WaitHistory, look
from queries.activity import Backend
from screens.activity_replay import ReplayTab
from screens.activity_views import (
    IoView,
    LocksView,
    ProgressView,
    SessionsView,
    View,
    WaitsView,
)
from screens.keys import TABS, Key
from screens.plan_link import open_plan
from screens.widgets.dialogs import ConfirmDialog, DetailDialog
from screens.widgets.plain import many_lines, one_line

VIEWS = (
    ("a", "sessions", "Sessions"),
    ("l", "locks", "Locks"),
    ("g", "progress", "Progress"),
    ("w", "waits", "Waits"),
    ("o", "io", "I/O"),
)


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at the sessions, and the answer to the question of the view in front."""

    view: str
    sample: Panel[Sample]
    answer: Panel[Any]


class ActivityTab(ReplayTab):
    IDENTITY = "activity"
    TITLE = "Activity"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["activity"]
    EXPLANATION = """
What goes on right now: sessions and whom they wait for, the locks as trees, long operations with
their progress, what sessions at work wait for, and what is read and written. The console's own
sessions are left out. f replays a recording in place of what goes on.
"""
    FIGURES = (
        ("for", "How long the statement runs, or since when the session sits in its state."),
        ("tx age", "Age of its open transaction; vacuum cannot clean up behind an old one."),
        ("waiting", "For another session: C cancels or K ends the one at the root (Locks)."),
        ("idle tx", "A transaction is open and nothing runs; its locks stay until it ends."),
        ("waits for", "Class and event; CPU where it waits for nothing."),
        ("behind", "How many wait for this session, directly or through others."),
        ("also by", "Further sessions that must end before this one can go on."),
        ("waits ≤", "PostgreSQL 13 does not tell since when; the statement's age then."),
        ("phase done", "Of the phase that is named, where the server knows its total."),
        ("average", "Sessions at it, on average of all looks of the last minutes."),
        ("groups", "CPU: no wait. IO. Lock: also LWLock and BufferPin. other: the rest."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.looked: Looked | None = None
        self.waits = WaitHistory()
        self._guard = Guard()
        self._view = "sessions"
        self._strip: Text | None = None

    @property
    def interval(self) -> float | None:
        return self.console.settings.refresh_seconds

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Reading…", style="dim"), classes="headline", markup=False)
        for view in (
            SessionsView(),
            LocksView(),
            ProgressView(),
            WaitsView(self.waits),
            IoView(),
        ):
            view.display = self._view == view.IDENTITY
            yield view

    @property
    def view(self) -> View:
        return self.query_one(f"#view-{self._view}", View)

    @property
    def sessions(self) -> SessionsView:
        return self.query_one(SessionsView)

    def first_focus(self) -> Widget | None:
        return self.view.table

    async def load(self) -> Looked:
        view, seconds = self.view, self.interval or 1.0
        sample = await self._guard.ask("sessions", seconds, lambda: read_activity(self.session))
        if sample.answer is None:
            raise sample.error or ConsoleError("The sessions could not be read.")
        found = sample.answer
        answer = await self._guard.ask(
            view.IDENTITY + " view", seconds, lambda: view.ask(self.session, found)
        )
        return Looked(view.IDENTITY, sample, answer)

    def show(self, value: Looked) -> None:
        self.looked = value
        found = value.sample.answer
        assert found is not None
        if not value.sample.is_stale and self.replay is None:
            self.waits.add(look(found.backends, found.at))
        self._headline(value, summary(found.backends))
        if value.view == self._view:
            self._show_in_view(found, value.answer.answer)

    def show_look(self) -> None:
        assert self.replay is not None
        found = self.replay.sample
        self.query_one(WaitsView).history = self.replay.waits()
        # Who waits was recorded, the queues for the locks were not.
        tree = blocking_tree(found.backends, []) if self._view == "locks" else None
        self.show(Looked(self._view, Panel(found, found.at), Panel(tree)))

    def show_live(self) -> None:
        self.query_one(WaitsView).history = self.waits

    def _show_in_view(self, found: Sample, answer: Any) -> None:
        if self.replay is not None and not self.view.IS_RECORDED:
            self.view.show_unrecorded()
        else:
            self.view.show(found, answer)

    def refilter(self) -> None:
        self.view.words = tuple(self.filter_text.split())
        if self.looked is not None and self.looked.sample.answer is not None:
            same = self.looked.view == self._view
            self._show_in_view(
                self.looked.sample.answer, self.looked.answer.answer if same else None
            )

    def _headline(self, value: Looked, found: Summary) -> None:
        line = self._views_line(found)
        if self.replay is not None:
            line.append("\n").append_text(self.replay_line())
        line.append("\n").append_text(_counts(found, self.sessions.hides_idle))
        server = self.session.server
        if self.replay is None and server is not None and server.in_recovery:
            line.append(" · standby: read-only", "yellow")
        for panel in (value.sample, value.answer):
            if panel.remark:
                line.append(f"\n{panel.remark}", "yellow")
                if panel.error is not None and panel.error.hint:
                    line.append(f" {panel.error.hint}", "yellow")
        if line != self._strip:
            self._strip = line
            self.query_one(".headline", Static).update(line)

    def _views_line(self, found: Summary) -> Text:
        """The views with their keys, the one in front reversed, waiters counted."""
        line = Text()
        for key, identity, title in VIEWS:
            chosen = identity == self._view
            count = f" {found.waiting}" if identity == "locks" and found.waiting else ""
            style = "reverse bold" if chosen else "bold red" if count else ""
            line.append(f" {key} ", "dim" if not chosen else "reverse bold")
            line.append(f"{title}{count} ", style).append(" ")
        return line

    def _show_view(self, identity: str) -> None:
        if identity == self._view:
            return
        self.view.display = False
        self._view = identity
        self.view.display = True
        self.view.table.focus()
        self.refilter()
        if self.looked is not None and self.looked.sample.answer is not None:
            self._headline(self.looked, summary(self.looked.sample.answer.backends))
        self.action_reload()

    def action_sessions(self) -> None:
        self._show_view("sessions")

    def action_locks(self) -> None:
        self._show_view("locks")

    def action_progress(self) -> None:
        self._show_view("progress")

    def action_waits(self) -> None:
        self._show_view("waits")

    def action_io(self) -> None:
        self._show_view("io")

    def action_idle(self) -> None:
        self.sessions.hides_idle = not self.sessions.hides_idle
        if self._view == "sessions":
            self.refilter()
        if self.looked is not None and self.looked.sample.answer is not None:
            self._headline(self.looked, summary(self.looked.sample.answer.backends))

    def action_sort(self) -> None:
        self.view.table.sort_next()

    def action_reverse(self) -> None:
        self.view.table.reverse()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_detail(self) -> None:
        backend = self.view.selected_backend
        if backend is None:
            self.console.say("No session is selected.")
            return
        self.run_worker(self._detail(backend), group="detail", exclusive=True)

    async def _detail(self, backend: Backend) -> None:
        query = backend.query
        try:
            if self.replay is None:
                query = await read_query(self.session, backend) or query
        except ConsoleError as error:
            self.console.say(error.message, error=True)
        self.app.push_screen(DetailDialog(f"Session {backend.pid}", details(backend, query), query))

    async def action_plan(self) -> None:
        """Plan what the session runs; its values are in the text, nothing is run."""
        backend = self.view.selected_backend
        if backend is None or backend.is_hidden or not backend.query:
            self.console.say("Select a session with a statement first.")
            return
        try:
            query = await read_query(self.session, backend) or backend.query
        except ConsoleError as error:
            self.console.say(error.message, error=True)
        else:
            await open_plan(self, query)

    def copied_text(self) -> str | None:
        backend = self.view.selected_backend
        return backend.query if backend else None

    def action_cancel(self) -> None:
        self._intervene(cancel)

    def action_terminate(self) -> None:
        self._intervene(terminate)

    def _intervene(self, plan: Any) -> None:
        backend = self.view.selected_backend
        if backend is None:
            self.console.say("Select a session first.")
            return
        try:
            intervention: Intervention = plan(backend)
        except ConsoleError as error:
            self.console.say(str(error), error=True)
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.run_worker(self._carry_out(intervention), group="act", exclusive=True)

        dialog = ConfirmDialog(intervention.title, intervention.statement, intervention.meaning)
        self.app.push_screen(dialog, decided)

    async def _carry_out(self, intervention: Intervention) -> None:
        try:
            self.console.say(await carry_out(self.console.target, intervention))
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        self.action_reload()


def _counts(found: Summary, hides_idle: bool) -> Text:
    noun = "session" if found.sessions == 1 else "sessions"
    line = Text(f" {found.sessions} {noun}: {found.active} active", no_wrap=True)
    if found.waiting:
        line.append(f", {found.waiting} waiting", "bold red")
    if found.idle_in_transaction:
        line.append(f", {found.idle_in_transaction} idle in tx", "yellow")
    line.append(f", {found.idle} idle", "dim")
    if hides_idle and found.idle:
        line.append(" (i shows)", "dim")
    return line


def details(backend: Backend, query: str | None) -> RenderableType:
    """The statement laid out, then all that is known of the session."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column()
    started = f"{backend.started_at:%Y-%m-%d %H:%M:%S} UTC" if backend.started_at else None
    wait = f"{backend.wait_class}: {backend.wait_event}" if backend.wait_class else None
    rows = (
        ("state", backend.state),
        ("for", units.duration(running_seconds(backend))),
        ("transaction", units.duration(backend.transaction_seconds)),
        ("waits for", wait),
        ("blocked by", ", ".join(map(str, backend.blocked_by))),
        ("role", backend.role),
        ("database", backend.database),
        ("application", backend.application),
        ("client", backend.client),
        ("connected", started),
        ("kind", backend.kind),
        ("worker of", str(backend.leader_pid) if backend.leader_pid else None),
        ("query id", str(backend.query_id) if backend.query_id else None),
    )
    for name, value in rows:
        if value and value != units.UNKNOWN:
            facts.add_row(name, one_line(value))
    shown = many_lines(laid_out(query), "bold") if query else Text("(no statement)", "dim")
    return Group(shown, Text(), facts)
