"""Times as an operator of a recovery reads them: never without their zone."""

from __future__ import annotations

from datetime import datetime


def moment(at: datetime | None) -> str:
    """In this machine's zone, with its offset: 2026-11-26 14:30:00+0100."""
    if at is None:
        return "unknown time"
    local = at.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S%z}"


def precise(at: datetime) -> str:
    """To the microsecond, which is what tells one transaction from the next."""
    local = at.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S.%f%z}"
