"""What every tab does alike: load when shown, date what it has, survive a lost connection."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input, Static

from console.errors import ConsoleError
from console.session import Session
from screens.keys import Key, bindings

if TYPE_CHECKING:
    from screens.app import ConsoleApp

LONGEST_BACKOFF = 30.0
"""Seconds between attempts while the server cannot be reached."""


class Tab(Vertical):
    """One screenful. A subclass gives `load` (ask), `show` (render), and its words and keys.

    `load` runs in one exclusive worker that is cancelled when the tab is left; whatever it raises
    as a ConsoleError is shown above the last good data, which stays with its age.
    """

    IDENTITY: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""
    EXPLANATION: ClassVar[str] = ""
    """What it is for, for `?`."""
    FIGURES: ClassVar[tuple[tuple[str, str], ...]] = ()
    """What each figure on it means, for `?`."""
    KEYS: ClassVar[tuple[Key, ...]] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        """A tab's keys are bound from the one table; nothing else binds keys."""
        cls.BINDINGS = list[BindingType](bindings(cls.KEYS))
        super().__init_subclass__(**arguments)

    def __init__(self) -> None:
        super().__init__(id=self.IDENTITY, classes="tab")
        self.loaded_at: datetime | None = None
        self.paused = False
        self.filter_text = ""
        self._wake = asyncio.Event()
        self._forced = False
        self._active = False
        self._last_failure: ConsoleError | None = None

    @property
    def console(self) -> ConsoleApp:
        """The app, by its own type."""
        return cast("ConsoleApp", self.app)

    @property
    def session(self) -> Session:
        """The read-only session that all tabs share: only the tab in front asks."""
        return self.console.session

    @property
    def interval(self) -> float | None:
        """Seconds from one answer to the next question; None reads once, and again on `r`."""
        return None

    async def load(self) -> Any:
        """Ask; the value goes to `show`. Raises ConsoleError."""
        raise NotImplementedError

    def show(self, value: Any) -> None:
        """Render what `load` returned."""
        raise NotImplementedError

    def refilter(self) -> None:
        """`filter_text` has changed: show what contains it."""

    def copied_text(self) -> str | None:
        """What `y` copies; None when nothing is selected."""
        return None

    def compose(self) -> ComposeResult:
        yield Static(classes="problem", markup=False)
        yield from self.compose_body()
        yield Input(placeholder="filter", classes="filter", compact=True)

    def compose_body(self) -> ComposeResult:
        raise NotImplementedError

    def first_focus(self) -> Widget | None:
        """What has the focus when the tab comes to the front."""
        return next((child for child in self.query("*") if child.focusable), None)

    def enter(self) -> None:
        """The tab comes to the front."""
        self._active = True
        focus = self.first_focus()
        if focus is not None:
            focus.focus()
        if self.loaded_at is None or self.interval is not None or self._last_failure is not None:
            self._start()

    def leave(self) -> None:
        """Another tab comes to the front; what is being asked is cancelled on the server too."""
        self._active = False
        self.workers.cancel_node(self)

    def _start(self) -> None:
        self._run()

    @work(group="load", exclusive=True)
    async def _run(self) -> None:
        failures = 0
        while self.app.is_running:
            if not self.paused or self._forced or self.loaded_at is None:
                self._forced = False
                try:
                    value = await self.load()
                    error = None
                except ConsoleError as problem:
                    error = problem
                if not self.app.is_running:
                    return  # it is closing: what the answer would be shown on is gone
                if error is not None:
                    failures += 1
                    self._failed(error)
                else:
                    failures = 0
                    self._succeeded()
                    self.show(value)
            if failures == 0 and self.interval is None:
                return
            pause = min(LONGEST_BACKOFF, 2.0**failures) if failures else self.interval or 1.0
            await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _failed(self, error: ConsoleError) -> None:
        self._last_failure = error
        line = Text.assemble(
            (f" {error.title.upper()} ", "reverse bold"), " ", (error.message, "bold")
        )
        if error.hint:
            line.append(f"\n {error.hint}")
        if self.loaded_at is not None:
            line.append(f"\n Below: STALE, as read at {self.loaded_at:%H:%M:%S} UTC.", style="dim")
        problem = self.query_one(".problem", Static)
        problem.update(line)
        problem.add_class("-shown")
        self.set_class(self.loaded_at is not None, "-stale")
        self.console.link_changed(error)

    def _succeeded(self) -> None:
        self.loaded_at = datetime.now(UTC)
        if self._last_failure is not None:
            self._last_failure = None
            self.query_one(".problem", Static).remove_class("-shown")
            self.remove_class("-stale")
        self.console.link_changed(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Actions that change something are gone under --read-only."""
        acting = {key.action for key in self.KEYS if key.acts}
        return not (self.console.read_only and action in acting)

    def action_reload(self) -> None:
        self._forced = True
        self._wake.set()
        if not any(worker.node is self and worker.group == "load" for worker in self.workers):
            self._start()

    def action_pause(self) -> None:
        if self.interval is None:
            self.console.say("This tab reads once; press r to read again.")
            return
        self.paused = not self.paused
        self._wake.set()
        self.console.say("Paused; space resumes." if self.paused else "Live again.")

    def action_filter(self) -> None:
        field = self.query_one(".filter", Input)
        field.add_class("-shown")
        field.focus()

    def action_close(self) -> None:
        field = self.query_one(".filter", Input)
        if field.has_class("-shown"):
            field.value = ""
            field.remove_class("-shown")
            focus = self.first_focus()
            if focus is not None:
                focus.focus()

    def action_copy(self) -> None:
        text = self.copied_text()
        if text is None:
            self.console.say("Nothing is selected to copy.")
            return
        self.app.copy_to_clipboard(text)
        self.console.say("Copied.")

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.has_class("filter"):
            event.stop()
            self.filter_text = event.value.strip().casefold()
            self.refilter()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the filter and goes back to what it filters."""
        if event.input.has_class("filter"):
            event.stop()
            focus = self.first_focus()
            if focus is not None:
                focus.focus()

    def on_descendant_blur(self) -> None:
        field = self.query_one(".filter", Input)
        if not field.value and not field.has_focus:
            field.remove_class("-shown")
