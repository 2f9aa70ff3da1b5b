"""The guided emergency restore: choose, look, plan, watch, cut over, and what comes after.

It opens without a server and without a database. What it begins runs in a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import ModalScreen
from textual.widgets import Static

from console.backup.store import Store
from console.errors import ConsoleError
from console.restore import run
from console.restore.outlook import unfinished
from console.restore.plan import Plan, Request, make_plan
from console.restore.run import Action
from console.restore.source import find_source
from console.restore.status import Status
from console.settings import Settings, choose_target
from console.target import Target
from screens.keys import WIZARD, WIZARD_EVERYWHERE, bindings
from screens.restore_choose import ChoosePage
from screens.restore_dialogs import PROMPTS, PromptDialog, option_choices
from screens.restore_page import Page, StageStrip
from screens.restore_preflight import PlanPage, PreflightPage
from screens.restore_status import StatusPage
from screens.widgets.dialogs import ChoiceDialog, ConfirmDialog, DetailDialog, help_body
from screens.widgets.key_bar import KeyBar
from screens.widgets.plain import one_line

if TYPE_CHECKING:
    from screens.app import ConsoleApp

AnyPage = TypeVar("AnyPage", bound=Page)

_GUIDE = """
A restore never touches the live database until the new one is complete and compared; then both
names change in one transaction, and one key changes them back.
"""


class RestoreWizard(ModalScreen[None]):
    """Its pages ask and show; what they share, and the way between them, is here."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(WIZARD_EVERYWHERE)]

    def __init__(self, target: Target, settings: Settings, notice: str = "") -> None:
        """`notice` is told on the first page, such as settings that cannot be used."""
        super().__init__()
        self.target = target
        self.settings = settings
        self.notice = notice
        self.owner = target.name
        """Whose backups are offered; stays when the restore goes to another target."""
        self.request = Request()
        self.plan: Plan | None = None
        self._reference = ""
        self._front: Page | None = None

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def store(self) -> Store:
        return Store(self.settings.backups.directory)

    @property
    def front(self) -> Page:
        """The page that is shown."""
        assert self._front is not None
        return self._front

    def compose(self) -> ComposeResult:
        yield Static(id="restore-title", markup=False)
        yield StageStrip()
        with Container(id="restore-body"):
            for kind in (ChoosePage, PreflightPage, PlanPage, StatusPage):
                page = kind()
                page.display = False
                yield page
        yield KeyBar()

    def on_mount(self) -> None:
        self._draw_title()
        self._open()

    @work(group="open")
    async def _open(self) -> None:
        """A restore that is open comes first; else the choice of a backup."""
        try:
            status = await asyncio.to_thread(unfinished)
        except ConsoleError as error:
            self.notice = f"{self.notice} {error}".strip()
            status = None
        if status is not None:
            self.attach(status.directory)
        else:
            self.choose()

    def _draw_title(self) -> None:
        name = self.request.into or self.target.dbname
        line = Text.assemble((" EMERGENCY RESTORE ", "reverse bold"), "  of ")
        line.append_text(one_line(self.owner, "bold")).append(" to ")
        line.append_text(one_line(f"{name} @ {self.target.place}", "bold"))
        self.query_one("#restore-title", Static).update(line)

    def _to(self, kind: type[AnyPage]) -> AnyPage:
        """Bring a page to the front."""
        page = self.query_one(kind)
        if self._front is not None and self._front is not page:
            self._front.leave()
            self._front.display = False
        page.display = True
        self._front = page
        self.moved()
        focus = page.first_focus
        if focus is not None:
            focus.focus()
        self.refresh_bindings()
        return page

    def moved(self) -> None:
        """The page in front stands at another step."""
        self.query_one(StageStrip).stage = self.front.stage

    def choose(self) -> None:
        self._to(ChoosePage).again()

    def examine(self, reference: str) -> None:
        """Go to the preflight of a backup, by its id or path."""
        self._reference, self.plan = reference, None
        self._draw_title()
        self._to(PreflightPage).examine(reference)

    def examine_again(self) -> None:
        self.examine(self._reference)

    async def make_plan(self, reference: str) -> Plan:
        """Ask everything; the plan is kept for the next page. Raises ConsoleError kinds."""
        source = await asyncio.to_thread(find_source, self.store, reference, self.owner)
        settings = self.settings
        self.plan = await make_plan(
            self.target, source, self.request, settings.backups, settings.tools
        )
        return self.plan

    def show_plan(self) -> None:
        if self.plan is not None:
            self._to(PlanPage).show(self.plan, self.request, self.target.dbname)

    def attach(self, directory: Path) -> None:
        """Show a restore that has begun, here or in another console."""
        self._to(StatusPage).follow(directory)

    def aim_at(self, name: str) -> None:
        """Restore to another target of the settings; the backups offered stay the same."""
        try:
            self.target = choose_target(self.settings, {}, None, name)
        except ConsoleError as error:
            self.console.say(str(error), error=True)
            return
        self._draw_title()
        self.choose()

    def begin(self) -> None:
        """Begin what was planned, in a process of its own, and follow it."""
        plan, self.plan = self.plan, None
        if plan is None:
            return

        async def act() -> None:
            try:
                began = await run.begin(plan, self.target, self.settings, confirmed=False)
            except ConsoleError as error:
                if self.is_attached:
                    self.plan = plan
                    self.query_one(PlanPage).refuse(error)
                return
            if self.is_attached:
                self.attach(began)

        self._act(act())

    def go_on(self, status: Status, action: Action, *, confirmed: bool) -> None:
        """Resume, abort, undo or finish it, and follow that."""

        async def act() -> None:
            try:
                target = self._target_of(status)
                await run.go_on(
                    status.directory, action, target, self.settings, confirmed=confirmed
                )
            except ConsoleError as error:
                self.console.say(str(error), error=True)
            if self.is_attached:
                self.front.again()

        self._act(act())

    def _act(self, acting: Coroutine[None, None, None]) -> None:
        # The app's worker: leaving the wizard does not stop halfway what was asked for.
        self.app.run_worker(acting, group="restore")

    def _target_of(self, status: Status) -> Target:
        """The target it began with, if the settings know it; its process checks the server."""
        name = status.options.target
        if name != self.target.name and name in self.settings.targets:
            return choose_target(self.settings, {}, None, name)
        return self.target

    def action_again(self) -> None:
        self.front.again()

    def action_back(self) -> None:
        """A page back, or out; what runs goes on by itself."""
        front = self._front
        if isinstance(front, PlanPage):
            self._to(PreflightPage)
        elif isinstance(front, PreflightPage):
            self.choose()
        else:
            if isinstance(front, StatusPage) and front.is_at_work:
                self.console.say("The restore goes on; F9 shows it again.")
            self.dismiss(None)

    def on_stage_strip_chosen(self, message: StageStrip.Chosen) -> None:
        """Only backwards: forwards is by deciding."""
        stage = self.front.stage
        if message.stage == 1 and stage in (2, 3):
            self.choose()
        elif message.stage == 2 and stage == 3:
            self._to(PreflightPage)

    def action_help(self) -> None:
        page = self.front
        groups = [
            (f"Keys on {page.TITLE}", WIZARD[page.IDENTITY]),
            ("Keys on every page", WIZARD_EVERYWHERE),
        ]
        body = help_body(page.EXPLANATION + _GUIDE, page.FIGURES, groups)
        self.app.push_screen(DetailDialog(f"{page.TITLE}: help", body))

    def action_options(self) -> None:
        choices = option_choices(self.request, self.target.dbname)

        def chosen(name: str | None) -> None:
            if name is not None:
                self._change(name)

        self.app.push_screen(ChoiceDialog("How to restore", choices), chosen)

    def _change(self, name: str) -> None:
        request = self.request
        if name in PROMPTS:
            self._prompt(name)
        elif name == "grants":
            self._wish(replace(request, privileges=not request.privileges))
        elif name == "roles":
            self._wish(replace(request, create_roles=not request.create_roles))
        elif not request.safety:
            self._wish(replace(request, safety=True))
        else:
            self._ask_to_skip()

    def _prompt(self, name: str) -> None:
        request = self.request
        now = {"name": request.into, "owner": request.owner, "locale": request.locale}[name]
        title, words = PROMPTS[name]

        def typed(value: str | None) -> None:
            if value is None:
                return
            if name == "name":
                self._wish(replace(request, into="" if value == self.target.dbname else value))
            elif name == "owner":
                self._wish(replace(request, owner=value))
            else:
                self._wish(replace(request, locale=value))

        self.app.push_screen(PromptDialog(title, words, now), typed)

    def _ask_to_skip(self) -> None:
        def answered(agreed: bool | None) -> None:
            if agreed:
                self._wish(replace(self.request, safety=False))

        risk = (
            "After `finish` there is then no way back to the live database as it is now;"
            " until then it is kept beside the restored one."
        )
        statement = f"No backup of '{self.target.dbname}' is made before the restore."
        self.app.push_screen(ConfirmDialog("Skip the safety backup?", statement, risk), answered)

    def _wish(self, request: Request) -> None:
        """The preflight depends on the options: what was looked at is looked at again."""
        if request == self.request:
            return
        self.request = request
        self._draw_title()
        if self.front.stage in (2, 3):
            self.examine_again()
