"""What the agent wrote down of a target, for whoever shows it: spans of hours, days and weeks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from console.agent.history import HistoryReader, history_path
from console.agent.presence import Presence, read_presence
from console.settings import state_directory
from console.target import Target

SPANS = (timedelta(hours=6), timedelta(days=7), timedelta(days=84))
"""What charts can show beside the minutes the app saw itself."""

Line = list[tuple[datetime, float]]


@dataclass(frozen=True, slots=True)
class Past:
    """What there is of an agent; `lines` are figures by name over the span asked for."""

    presence: Presence | None
    """What the agent said last; None when there never was one here."""
    lines: dict[str, Line]


def read_past(
    target: Target, names: tuple[str, ...], span: timedelta | None, now: datetime
) -> Past:
    """The agent's presence, and with a span its figures. Blocks for milliseconds: use a thread.

    Raises CommandFailed when there is a history that cannot be read.
    """
    presence = read_presence(state_directory())
    reader = HistoryReader(history_path())
    if span is None or not reader.exists:
        return Past(presence, {})
    called = target.name or target.dbname
    return Past(
        presence,
        {
            name: [(p.at, p.mean) for p in reader.points(called, name, now - span, now)]
            for name in names
        },
    )
