"""The fleet: a line for every target of the settings, and one key to switch to another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, cast

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from console import fleet_words as words
from console.findings import Severity
from console.fleet import Member, Watch
from console.settings import Settings
from screens.keys import FLEET, bindings
from screens.widgets import marks
from screens.widgets.dialogs import DetailDialog, help_body
from screens.widgets.key_bar import KeyBar
from screens.widgets.plain import many_lines, one_line
from screens.widgets.record_table import Column, RecordTable

if TYPE_CHECKING:
    from screens.app import ConsoleApp

_REFRESH_SECONDS = 5.0
_EXPLANATION = """
Every target of the settings file, asked all at once; one that is down or does not answer says so
and holds up nobody. Enter goes to the selected one: all tabs are then about it. What runs in the
background, a backup or a restore, goes on. Tab goes to the details below, the arrows move them.
"""
_FIGURES = (
    ("verdict", "The worst of the live figures, the agent's alerts, and on a primary its backups."),
    ("role", "Primary or standby; -3 s is the age of the last transaction replayed."),
    ("conn", "Client backends, of those that ordinary roles may open."),
    ("proven", "The newest backup that was read whole, by the backup directory."),
    ("alerts", "What the agent has raised; no agent: none runs that watches the target."),
    ("followers", "Who receives WAL from it, and how much and how long each is behind."),
    ("slots", "What WAL is kept for whom; an inactive slot fills the disk."),
    ("conflicts", "On a standby: queries that replay had to end, since the statistics began."),
    ("managed", "Patroni or CloudNativePG run it; leave settings, stops and starts to them."),
    ("Citus", "Its nodes, and the shards each holds; sizes are asked once a minute."),
)
_NO_TARGETS = """The settings name no target, so there is nothing to switch to.

Add some under `targets` in the settings file, each with its address:

targets:
  home:
    url: postgresql://admin@10.0.0.5/medianest
  spare:
    url: postgresql://admin@10.0.0.6/medianest

`medianest-console init` writes the first one; then open the console again and press F2."""

COLUMNS = (
    Column[Member]("target", lambda m: one_line(m.name, "bold"), width=12),
    Column[Member]("verdict", lambda m: _verdict(m), width=9),
    Column[Member]("database", lambda m: one_line(m.label), priority=2, width=30, fills=True),
    Column[Member]("PG", lambda m: words.version(m.live), priority=1, width=5),
    Column[Member]("role", lambda m: words.role(m.live), width=13),
    Column[Member]("conn", lambda m: words.connections(m.live), right=True, width=6),
    Column[Member]("size", lambda m: words.database_size(m.live), right=True, width=7),
    Column[Member]("proven", lambda m: words.proven(m), width=10),
    Column[Member]("alerts", lambda m: words.alerts(m), right=True, width=8),
)


class _Targets(RecordTable[Member]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", FLEET[0].label, tooltip=FLEET[0].meaning)
    ]


class FleetScreen(ModalScreen[str | None]):
    """Opens over the tabs; ends with the name of the target to go to, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(FLEET)]

    def __init__(self, settings: Settings, here: str) -> None:
        """`here` is the name of the target that the tabs are about."""
        super().__init__()
        self._settings = settings
        self._here = here
        self._watch = Watch(settings)
        self._wake = asyncio.Event()
        self._detailed: Member | None = None

    @property
    def table(self) -> RecordTable[Member]:
        return self.query_one("#fleet", RecordTable)

    def compose(self) -> ComposeResult:
        yield Static(Text("Asking every target…", style="dim"), id="fleet-headline", markup=False)
        yield _Targets(COLUMNS, lambda member: member.name, id="fleet")
        with VerticalScroll(id="fleet-around"):
            yield Static(id="fleet-details", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.table.focus()
        if self._settings.targets:
            self.run_worker(self._look_on(), exclusive=True)
        else:
            self.query_one("#fleet-headline", Static).update(Text(_NO_TARGETS))
            self.table.display = False

    async def _look_on(self) -> None:
        try:
            while True:
                self._show(await self._watch.look())
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), _REFRESH_SECONDS)
                except TimeoutError:
                    continue
        finally:
            await self._watch.close()

    def _show(self, members: tuple[Member, ...]) -> None:
        first = not self.table.row_count
        severity, said = words.verdict(members)
        headline = marks.badge(severity).append(f"  {said}", "default")
        self.query_one("#fleet-headline", Static).update(headline)
        self.table.show(members)
        if first:
            names = [member.name for member in members]
            self.table.move_cursor(row=names.index(self._here) if self._here in names else 0)
        self._detail()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self._detail()

    def _detail(self) -> None:
        member = self.table.selected
        if member is not None and member != self._detailed:
            if self._detailed is None or member.name != self._detailed.name:
                self.query_one("#fleet-around", VerticalScroll).scroll_home(animate=False)
            self._detailed = member
            here = member.name == self._here
            self.query_one("#fleet-details", Static).update(_details(member, here=here))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_switch()

    def action_switch(self) -> None:
        member = self.table.selected
        if member is None:
            return
        if not member.label:
            cast("ConsoleApp", self.app).say(f"{member.name}: {member.problem}", error=True)
            return
        self.dismiss(member.name)

    def action_again(self) -> None:
        self._wake.set()

    def action_help(self) -> None:
        body = help_body(_EXPLANATION, _FIGURES, [("Keys", FLEET)])
        self.app.push_screen(DetailDialog("Fleet: help", body))


def _verdict(member: Member) -> Text:
    if member.live is None:
        return Text("✗ DOWN", marks.style(Severity.FAILURE))
    return marks.mark(member.verdict)


def _details(member: Member, *, here: bool) -> RenderableType:
    """Why the selected one's verdict is what it is, then what its line has no room for."""
    title = one_line(member.name, "bold")
    title.append(" is open here" if here else "  enter opens it", "dim")
    facts = Table.grid(padding=(0, 2))
    for name, value in words.facts(member):
        facts.add_row(Text(name, "dim"), many_lines(value))
    reasons = [_reason(member, n) for n in range(len(member.findings))]
    return Group(title, *(reasons or [Text("Nothing is wrong with it.", "green")]), facts)


def _reason(member: Member, number: int) -> Text:
    finding = member.findings[number]
    line = marks.mark(finding.severity).append(" ", "default")
    line.append_text(many_lines(words.reason(finding)))
    if finding.fix:
        line.append("  ").append_text(one_line(finding.fix.splitlines()[0], "cyan"))
    return line
