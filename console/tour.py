"""Whether this user has seen the tour: remembered beside the console's other state."""

from __future__ import annotations

import contextlib

from console.settings import state_directory

_NAME = "tour-seen"


def is_due() -> bool:
    """Whether the console opens with the tour."""
    return not (state_directory() / _NAME).exists()


def remember() -> None:
    """Not again. Where nothing can be kept, it comes again, which is no reason to fail."""
    with contextlib.suppress(OSError):
        state_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
        (state_directory() / _NAME).touch(mode=0o600)
