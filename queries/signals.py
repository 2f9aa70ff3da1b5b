"""Asking one session to stop."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class Signalled:
    """Whether the signal was sent; there is no row when the session is gone."""

    sent: bool


CANCEL_BACKEND = Query("cancel_backend", Signalled)
TERMINATE_BACKEND = Query("terminate_backend", Signalled)
