"""The terminal the app draws on: what stands for glyphs it lacks, and what if it goes away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, cast

from textual.drivers.linux_driver import LinuxDriver

from console.glyphs import of_terminal

if TYPE_CHECKING:
    from io import TextIOWrapper

    from textual.app import App

LEAVING = (signal.SIGTERM, signal.SIGHUP)
"""Signals on which the app leaves as by its key."""

LAST_SECONDS = 8.0
"""How long leaving may take when the terminal is gone, before the process ends as it is."""


class TerminalDriver(LinuxDriver):
    """Textual's own, except for what is written and for a terminal that is gone."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._glyphs = of_terminal()
        self._file = cast("TextIOWrapper[Any]", _Lasting(self._file))

    def write(self, data: str) -> None:
        super().write(self._glyphs.shown(data))


class _Lasting:
    """A file that takes what is written after its terminal hung up.

    Else the thread that writes would end, and who leaves would wait for it for ever.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()


def driver_class() -> type[LinuxDriver] | None:
    """The driver for this process; None where Textual is told another, as a web page's."""
    return None if os.environ.get("TEXTUAL_DRIVER") else TerminalDriver


def run_in_terminal(app: App[Any]) -> Any:
    """Run the app until it is left; what it returned.

    Raises SystemExit, with the code a shell gives a signal, when SIGTERM or SIGHUP ended it: by
    then its sessions are closed and the terminal is as it was, if it is still there.
    """
    left_by: list[signal.Signals] = []
    watch: list[threading.Timer] = []

    def leave(number: signal.Signals) -> None:
        left_by.append(number)
        watch.append(threading.Timer(LAST_SECONDS, os._exit, (128 + number,)))
        watch[-1].daemon = True
        watch[-1].start()
        app.exit()

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        for number in LEAVING:
            loop.add_signal_handler(number, leave, number)
        return await app.run_async()

    before = {number: signal.getsignal(number) for number in LEAVING}
    try:
        result = asyncio.run(run())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for timer in watch:
            timer.cancel()
    if left_by:
        raise SystemExit(128 + left_by[0])
    return result
