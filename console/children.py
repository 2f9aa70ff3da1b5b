"""Start child processes that end when we do, however we end (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import IO, Any

from console.errors import CommandFailed

_PR_SET_PDEATHSIG = 1
_outliving_us: list[subprocess.Popen[bytes]] = []
"""Referred to until the end: a Popen collected while its process runs warns of a leak."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def spawn(
    command: Sequence[str],
    *,
    output: IO[bytes] | int,
    environment: Mapping[str, str],
    dies_with: signal.Signals | None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, so that the terminal's Ctrl-C is ours alone.

    With `dies_with`, the kernel sends it that signal when the thread that called this ends, so
    only the main thread may. `options` go to `subprocess.Popen`. Raises CommandFailed.
    """
    if dies_with is not None and threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a child that ends with its parent is started from the main thread")
    parent = os.getpid()

    def prepare() -> None:
        # After the change of account, which would clear it (prctl(2)); subprocess keeps this order.
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(dies_with or 0), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    with warnings.catch_warnings():
        # 3.12+ warns that a fork beside threads may deadlock; the child only calls prctl.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment,
                start_new_session=True,
                preexec_fn=None if dies_with is None else prepare,
                **options,
            )
        except OSError as error:
            raise CommandFailed(
                f"{command[0]} cannot be started: {error.strerror}.",
                "Check that it is installed and that there is memory for it.",
            ) from error
    if dies_with is None:
        _outliving_us.append(child)
    return child
