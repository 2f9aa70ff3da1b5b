"""A tab that shows the sessions as they are, or as a recording of them has them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.text import Text
from textual.widgets import Static

from console.errors import ConsoleError
from console.monitor.replay import Replay, open_replay
from screens.plan_dialogs import FieldsDialog
from screens.widgets.plain import one_line
from screens.widgets.tab import Tab

FAR = 30
LIVE_ONLY = ("cancel", "terminate", "plan", "pause")
"""Keys that are about the server, not about what was recorded of it."""


class ReplayTab(Tab):
    """While a recording is open nothing is asked; esc goes back to what goes on now."""

    def __init__(self) -> None:
        super().__init__()
        self.replay: Replay | None = None

    def show_look(self) -> None:
        """Render the look of the recording that is in front."""
        raise NotImplementedError

    def show_live(self) -> None:
        """The recording was closed."""

    def replay_line(self) -> Text:
        """Which look of how many, when it was, and what could not be seen before it."""
        replay = self.replay
        assert replay is not None
        line = Text.assemble((" REPLAY ", "reverse bold yellow"), " ", one_line(replay.name))
        line.append(f"  {replay.position + 1} of {replay.length}  ", "bold")
        line.append(f"{replay.sample.at:%m-%d %H:%M:%S} UTC", "bold")
        line.append("  , . move  b worst  esc live", "dim")
        gap = replay.gap()
        if gap is not None:
            line.append("\nnot seen before it: ", "yellow").append_text(one_line(gap.reason))
        return line

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.replay is not None and action in LIVE_ONLY:
            return False
        return super().check_action(action, parameters)

    def _start(self) -> None:
        if self.replay is None:
            super()._start()

    def action_reload(self) -> None:
        if self.replay is None:
            super().action_reload()
        else:
            self.show_look()

    def action_replay(self) -> None:
        def filled(values: list[str] | None) -> None:
            if values and values[0].strip():
                path = Path(values[0].strip()).expanduser()
                self.run_worker(self._open(path), group="replay", exclusive=True)

        note = "A recording: medianest-console activity --record FILE makes one."
        self.app.push_screen(FieldsDialog("Replay a recording", note, ["Path"], []), filled)

    async def _open(self, path: Path) -> None:
        try:
            replay = await asyncio.to_thread(open_replay, path)
        except ConsoleError as error:
            self.console.say(str(error), error=True)
            return
        self.workers.cancel_group(self, "load")
        self.query_one(".problem", Static).remove_class("-shown")
        self.remove_class("-stale")
        self.replay = replay
        if replay.recording.is_cut:
            self.console.say("The recording ends in the middle of a look; the rest is shown.")
        self.refresh_bindings()
        self.show_look()

    def _move(self, looks: int) -> None:
        if self.replay is None:
            self.console.say("Open a recording first: f.")
            return
        self.replay.move(looks)
        self.show_look()

    def action_back(self) -> None:
        self._move(-1)

    def action_forward(self) -> None:
        self._move(1)

    def action_far_back(self) -> None:
        self._move(-FAR)

    def action_far_forward(self) -> None:
        self._move(FAR)

    def action_worst(self) -> None:
        if self.replay is not None:
            self.replay.to_worst()
        self._move(0)

    def action_close(self) -> None:
        """Escape: close the filter, else the recording."""
        is_filtering = self.query_one(".filter").has_class("-shown")
        if self.replay is None or is_filtering:
            super().action_close()
            return
        self.replay = None
        self.refresh_bindings()
        self.show_live()
        self.action_reload()
