"""Where recovery stopped, held against what was asked: a start alone proves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.pitr.names import lsn, lsn_text, reached
from console.pitr.targets import Stop
from console.pitr.words import moment
from queries.pitr import ReplayState


@dataclass(frozen=True, slots=True)
class Reached:
    as_asked: bool
    answer: str
    """In words, with the figures compared."""
    lsn: str
    last_commit_at: datetime | None
    seconds: float
    """From the beginning of the copy until it could be read at the target."""


def compare(stop: Stop, state: ReplayState, seconds: float) -> Reached:
    """Position and time of the last replayed transaction against the target's."""
    problems = list(_problems(stop, state))
    position = state.replayed_lsn or "0/0"
    answer = "; ".join(problems) or (
        f"replayed to {position}, the last transaction of {moment(state.replayed_at)}"
    )
    return Reached(not problems, answer, position, state.replayed_at, seconds)


def _problems(stop: Stop, state: ReplayState) -> list[str]:
    found = []
    position = lsn(state.replayed_lsn or "0/0")
    if not state.in_recovery or not state.is_paused:
        found.append("it is not paused at a target")
    if stop.inclusive and position <= stop.lsn:
        found.append(f"it stopped at {lsn_text(position)}, before {lsn_text(stop.lsn)}")
    # Asked to stop before a record: it must have come just there, and not beyond.
    just_before = stop.exact and not stop.inclusive
    if just_before and not reached(position, stop.lsn):
        found.append(f"it stopped at {lsn_text(position)}, before {lsn_text(stop.lsn)}")
    if just_before and position > stop.lsn:
        found.append(f"it went on to {lsn_text(position)}, beyond {lsn_text(stop.lsn)}")
    at = state.replayed_at
    if stop.wanted.kind == "time" and at is not None and at > stop.wanted.time:
        found.append(f"its last transaction is of {moment(at)}, after {moment(stop.wanted.time)}")
    # A stop after a commit does not count it: the server notes its time only when it goes on.
    expected = None if stop.inclusive else stop.last_commit
    if expected is not None and at is not None and at != expected.at:
        found.append(f"its last transaction is of {moment(at)}, not of {moment(expected.at)}")
    return found
