"""The shell: a line that says where and how, the tabs, one of them at a time, and the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

from console import tour
from console.errors import ConnectionFailed, ConsoleError, ExitCode, ReadOnlyRefused
from console.findings import Severity
from console.session import Session
from console.settings import Settings, named_target
from console.target import Target
from screens import keys
from screens.keys import EVERYWHERE, RESCUE
from screens.tabs import TABS
from screens.terminal import driver_class, run_in_terminal
from screens.themes import SIXTEEN
from screens.widgets.banner import Banner, TabStrip
from screens.widgets.dialogs import DetailDialog, help_body
from screens.widgets.key_bar import KeyBar
from screens.widgets.palette import Palette
from screens.widgets.tab import Tab

RESTORES_SECONDS = 5.0
"""How often the banner looks for a restore that is not over."""

SMALLEST = Size(60, 15)
"""Below this nothing useful fits; the app says so and waits for a larger terminal."""


class ConsoleApp(App[ExitCode]):
    """The console on one target. It opens, and stays open, without a connection too."""

    TITLE = "MediaNest Console"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(entry.key, f"show_tab({n})", entry.title, show=False)
          for n, entry in enumerate(TABS)),
        *keys.bindings(EVERYWHERE),
        Binding(RESCUE.key, "refuse_rescue", show=False, priority=True),
    ]  # fmt: skip

    def __init__(
        self,
        target: Target,
        settings: Settings,
        *,
        read_only: bool = False,
        rescue: bool = False,
        notice: str = "",
        with_tour: bool = False,
    ) -> None:
        """`rescue` opens it on the emergency restore; `notice` is told there."""
        super().__init__(driver_class=driver_class())
        self.target = target
        self.settings = settings
        self.read_only = read_only or settings.read_only
        self.session = Session(target)
        self.animation_level = "none"
        self.register_theme(SIXTEEN)
        self.notice = notice
        self._rescue = rescue
        self._with_tour = with_tour
        self._active: Tab | None = None
        self._verdicts: dict[str, Severity] = {}

    def compose(self) -> ComposeResult:
        yield Banner(self.target, self.read_only)
        yield TabStrip([(entry.title, entry.short) for entry in TABS])
        yield Container(id="body")
        yield Static(
            f"The console needs {SMALLEST.width} columns and {SMALLEST.height} lines.",
            id="too-small",
            markup=False,
        )
        yield KeyBar()

    async def on_mount(self) -> None:
        if not self.is_headless and self.console.color_system == "standard":
            self.theme = SIXTEEN.name
        self.app_resume_signal.subscribe(self, lambda _app: self.action_redraw())
        self.query_one(Banner).describe(None, None, lost=False)
        await self.action_show_tab(0)
        self.set_interval(RESTORES_SECONDS, self._look_for_restores)
        self._look_for_restores()
        if self._rescue:
            self.action_rescue()
        elif self._with_tour:
            self.action_tour()

    def action_tour(self) -> None:
        """What the tabs answer and the first keys; a tab's key goes there."""
        from screens.tour import TourDialog

        async def left(tab: int | None) -> None:
            await asyncio.to_thread(tour.remember)
            if tab is not None:
                await self.action_show_tab(tab)

        self.push_screen(TourDialog(read_only=self.read_only), left)

    @work(group="restores", exclusive=True)
    async def _look_for_restores(self) -> None:
        """The banner tells of a restore that is open, whoever began it."""
        words = await asyncio.to_thread(_restore_notice)
        if self.is_running:
            self.query_one(Banner).remark(words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "rescue":
            return not self.read_only
        return self.read_only or action != "refuse_rescue"

    def action_rescue(self) -> None:
        """The guided emergency restore, over whatever is open."""
        from screens.restore_wizard import RestoreWizard

        if any(isinstance(screen, RestoreWizard) for screen in self.screen_stack):
            return
        self.active_tab.leave()

        def left(_nothing: None) -> None:
            self.active_tab.enter()
            self._look_for_restores()

        self.push_screen(RestoreWizard(self.target, self.settings, self.notice), left)

    def action_diagnose(self) -> None:
        """Guided trouble; the tab in front asks nothing meanwhile, as they share the session."""
        from screens.diagnose import DiagnoseDialog

        self.active_tab.leave()

        async def left(identity: str | None) -> None:
            numbers = {entry.identity: number for number, entry in enumerate(TABS)}
            if identity is None or identity == self.active_tab.IDENTITY:
                self.active_tab.enter()
            else:
                await self.action_show_tab(numbers[identity])

        self.push_screen(DiagnoseDialog(), left)

    def action_fleet(self) -> None:
        """Every target, over the tab in front, which asks nothing meanwhile."""
        from screens.fleet import FleetScreen

        self.active_tab.leave()

        async def left(name: str | None) -> None:
            if name is None or name == self.target.name:
                self.active_tab.enter()
            else:
                await self._switch_to(name)

        self.push_screen(FleetScreen(self.settings, self.target.name), left)

    async def _switch_to(self, name: str) -> None:
        """Make everything about another target of the settings; the same tab stays in front."""
        try:
            target = named_target(self.settings, name)
        except ConsoleError as error:
            self.say(str(error), error=True)
            self.active_tab.enter()
            return
        number = self.query_one(TabStrip).active
        await self.query_one("#body").remove_children()
        await self.session.close()
        self.target, self.session = target, Session(target)
        self._active, self._verdicts, self.notice = None, {}, ""
        self.query_one(Banner).aim(target)
        await self.action_show_tab(number)

    def action_refuse_rescue(self) -> None:
        self.say("A restore changes the server, and --read-only is set: open without it.")

    def on_resize(self, event: Resize) -> None:
        small = event.size.width < SMALLEST.width or event.size.height < SMALLEST.height
        self.screen_stack[0].set_class(small, "-too-small")

    async def on_unmount(self) -> None:
        await self.session.close()

    async def action_show_tab(self, number: int) -> None:
        """Bring a tab to the front; the first time it is built and asks its questions."""
        entry = TABS[number]
        if self._active is not None:
            if entry.identity == self._active.IDENTITY:
                return
            self._active.leave()
            self._active.display = False
        body = self.query_one("#body")
        found = body.query_children(f"#{entry.identity}").results(Tab)
        tab = next(iter(found), None)
        if tab is None:
            tab = entry.build()
            await body.mount(tab)
        tab.display = True
        self._active = tab
        self.query_one(TabStrip).active = number
        tab.enter()
        self.refresh_bindings()

    async def on_tab_strip_chosen(self, message: TabStrip.Chosen) -> None:
        await self.action_show_tab(message.number)

    @property
    def active_tab(self) -> Tab:
        assert self._active is not None
        return self._active

    def say(self, text: str, *, error: bool = False) -> None:
        """A short notice in the corner; server text is safe in it."""
        self.notify(text, severity="error" if error else "information", timeout=4, markup=False)

    def judged(self, tab: str, verdict: Severity) -> None:
        """A tab has a new verdict; the banner shows the worst of all."""
        self._verdicts[tab] = verdict
        self.link_changed(None)

    def link_changed(self, error: ConsoleError | None) -> None:
        """A question was answered (None), or failed."""
        lost = isinstance(error, ConnectionFailed | ReadOnlyRefused)
        worst = min(self._verdicts.values(), key=lambda verdict: verdict.rank, default=None)
        self.query_one(Banner).describe(self.session.server, worst, lost)

    def action_command_palette(self) -> None:
        if not any(isinstance(screen, Palette) for screen in self.screen_stack):
            self.push_screen(Palette(id="--command-palette"))

    def action_redraw(self) -> None:
        """Draw everything again: another program wrote over the screen."""
        self.refresh(layout=True)

    def action_reload(self) -> None:
        self.active_tab.action_reload()

    def action_filter(self) -> None:
        self.active_tab.action_filter()

    def action_pause(self) -> None:
        self.active_tab.action_pause()

    def action_copy(self) -> None:
        self.active_tab.action_copy()

    def action_close(self) -> None:
        self.active_tab.action_close()

    def action_help(self) -> None:
        tab = self.active_tab
        groups = [(f"Keys on {tab.TITLE}", tab.KEYS), ("Keys everywhere", EVERYWHERE)]
        body = help_body(tab.EXPLANATION, tab.FIGURES, groups)
        self.push_screen(DetailDialog(f"{tab.TITLE}: help", body))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every tab, every key that works here, and Textual's themes and quit."""
        for number, entry in enumerate(TABS):
            yield SystemCommand(
                f"Go to {entry.title}",
                f"Key {entry.key}",
                lambda number=number: self.run_action(f"app.show_tab({number})"),
            )
        if self._active is not None:
            for key in self._active.KEYS:
                if not (key.acts and self.read_only):
                    yield SystemCommand(
                        f"{self._active.TITLE}: {key.label}",
                        f"{key.meaning} Key {key.name}",
                        lambda tab=self._active, key=key: self.run_action(key.action, tab),
                    )
        for key in EVERYWHERE:
            if key.action not in ("command_palette", "close") and not (key.acts and self.read_only):
                yield SystemCommand(
                    key.label.capitalize(),
                    f"{key.meaning} Key {key.name}",
                    lambda key=key: self.run_action(key.action, self),
                )
        yield SystemCommand("Tour", "What each tab answers, and the first keys.", self.action_tour)
        yield SystemCommand("Theme", "Change colours.", self.action_change_theme)


def _restore_notice() -> str:
    # Imported off the event loop: it takes as long as a tab, and the first picture comes first.
    from console.restore.outlook import notice

    return notice()


def run(
    target: Target,
    settings: Settings,
    *,
    read_only: bool = False,
    rescue: bool = False,
    notice: str = "",
) -> ExitCode:
    """Run the app until it is left; 0 unless it crashed. `rescue` opens the emergency restore.

    Raises SystemExit when a signal ended it.
    """
    app = ConsoleApp(
        target,
        settings,
        read_only=read_only,
        rescue=rescue,
        notice=notice,
        with_tour=tour.is_due(),
    )
    run_in_terminal(app)
    return ExitCode.UNKNOWN if app.return_code else ExitCode.OK
