"""Where a restore stands as a person needs it: verdict, reason, steps, and what may be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from console.errors import ConsoleError
from console.findings import Severity
from console.restore.describe import title
from console.restore.journal import Entry, Event, read_entries
from console.restore.status import Phase, Status, all_status, read_status
from console.units import age, duration


class StepState(StrEnum):
    DONE = "done"
    SKIPPED = "skipped"
    AT_WORK = "at work"
    FAILED = "failed"
    BROKEN = "interrupted"
    WAITING = "to come"


@dataclass(frozen=True, slots=True)
class StepLine:
    name: str
    words: str
    state: StepState
    seconds: float | None
    """It took, or has taken so far."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class NextAction:
    """Something that may be done now, and what it means here."""

    action: str
    """resume, abort, undo or finish; resume is the cut-over where `typed` asks for the name."""
    meaning: str
    typed: str = ""
    """The name to be typed first; '' asks for nothing more."""


@dataclass(frozen=True, slots=True)
class Meter:
    """How far the step at work is; `share` is None where its end is not known."""

    words: str
    done: int = 0
    expected: int | None = None
    in_bytes: bool = False

    @property
    def share(self) -> float | None:
        return min(1.0, self.done / self.expected) if self.expected else None


@dataclass(frozen=True, slots=True)
class Outlook:
    status: Status
    severity: Severity
    verdict: str
    reason: str
    stage: int
    """The wizard's step, 4 to 9."""
    steps: tuple[StepLine, ...]
    meter: Meter | None
    seconds: float
    """Since it began, or in all."""
    actions: tuple[NextAction, ...]


def look(directory: Path, now: datetime) -> Outlook:
    """One restore as of now. Raises CommandFailed when its files cannot be read."""
    status = read_status(directory)
    entries = read_entries(directory)
    severity, verdict, reason = _verdict(status)
    return Outlook(
        status,
        severity,
        verdict,
        reason,
        _stage(status),
        _steps(status, entries, now),
        _meter(status.progress) if status.running is not None else None,
        _seconds(status, entries, now),
        tuple(_next(status, action) for action in status.actions),
    )


def unfinished() -> Status | None:
    """The newest restore that runs, or has to be resumed or aborted; None when all are over."""
    return next((status for status in all_status() if status.is_open), None)


def last_over() -> Status | None:
    """The newest restore that is over and still keeps the other database; None without one."""
    return next((s for s in all_status() if not s.is_open and s.kept), None)


def notice() -> str:
    """A few words for where everybody sees them; '' when no restore is open.

    What cannot be read is told where it matters, in the wizard.
    """
    try:
        status = unfinished()
    except ConsoleError:
        return ""
    if status is None:
        return ""
    if status.running is not None:
        return f"restore of '{status.options.database}' at work"
    if status.phase is Phase.READY and not status.state.failure:
        return f"restore of '{status.options.database}' waits for its cut-over"
    return f"restore of '{status.options.database}' is not finished"


def last_words(status: Status, now: datetime) -> str:
    """A restore that is over, in one line."""
    entries = read_entries(status.directory)
    ended = age(entries[-1].at if entries else None, now)
    return (
        f"The last restore of '{status.options.database}' is {status.phase} ({ended});"
        f" the other database is kept as '{status.kept}'."
    )


_MAIN = ("safety", "create", "load", "validate", "close", "swap", "health")
_ORDER = (
    "safety",
    "roles",
    "create",
    "load",
    "validate",
    "properties",
    "hook-before",
    "close",
    "swap",
    "health",
    "hook-after",
    "hook-back",
    "undo-close",
    "undo-swap",
    "finish",
    "abort",
)


def _steps(status: Status, entries: Sequence[Entry], now: datetime) -> tuple[StepLine, ...]:
    """What was done, is done and, until the cut-over is over, has still to come."""
    state = status.state
    failed = state.failure.get("step", "")
    over = status.phase in (Phase.FINISHED, Phase.ABORTED, Phase.UNDONE)
    expected = () if over else _MAIN
    found = []
    for name in _ORDER:
        if name in state.done:
            skipped = str(state.data.get(name, {}).get("skipped", ""))
            kind = StepState.SKIPPED if skipped else StepState.DONE
            found.append(StepLine(name, title(name), kind, state.seconds.get(name), skipped))
        elif name == failed:
            found.append(StepLine(name, title(name), StepState.FAILED, state.seconds.get(name)))
        elif name in state.begun:
            kind = StepState.AT_WORK if status.running is not None else StepState.BROKEN
            seconds = _since(entries, name, now) if kind is StepState.AT_WORK else None
            found.append(StepLine(name, title(name), kind, seconds))
        elif name in expected:
            found.append(StepLine(name, title(name), StepState.WAITING, None))
    return tuple(found)


def _since(entries: Sequence[Entry], step: str, now: datetime) -> float | None:
    begun = [entry.at for entry in entries if entry.step == step and entry.event is Event.INTENT]
    return max(0.0, (now - begun[-1]).total_seconds()) if begun else None


def _seconds(status: Status, entries: Sequence[Entry], now: datetime) -> float:
    if not entries:
        return 0.0
    total = status.state.data.get("health", {}).get("total_seconds")
    if total is not None:
        return float(total)
    until = now if status.running is not None else entries[-1].at
    return max(0.0, (until - entries[0].at).total_seconds())


def _meter(progress: dict[str, Any]) -> Meter | None:
    if not progress:
        return None
    words = " ".join(str(progress[key]) for key in ("phase", "table") if progress.get(key))
    if progress.get("expected_bytes"):
        done, expected = progress.get("done_bytes", 0), progress["expected_bytes"]
        return Meter(words, int(done), int(expected), in_bytes=True)
    if progress.get("expected"):
        return Meter(words, int(progress.get("done") or 0), int(progress["expected"]))
    return Meter(words)


def _stage(status: Status) -> int:
    if status.phase in (Phase.UNDOING, Phase.UNDONE, Phase.FINISHED, Phase.ABORTED):
        return 9
    if status.phase in (Phase.SWAPPED, Phase.DONE):
        return 8
    if status.phase in (Phase.READY, Phase.CUTTING):
        return 7
    done = status.state.done
    if "load" in done:
        return 6
    return 5 if "safety" in done else 4


def _verdict(status: Status) -> tuple[Severity, str, str]:
    if status.running is not None:
        return _at_work(status)
    failure = status.state.failure
    if failure:
        verdict = f"Failed: {title(failure['step'])}."
        reason = " ".join(word for word in (failure["message"], failure.get("hint", "")) if word)
        return Severity.FAILURE, verdict, f"{reason} {_untouched(status)}".rstrip()
    return _STANDING[status.phase](status)


def _at_work(status: Status) -> tuple[Severity, str, str]:
    if status.phase is Phase.CUTTING:
        return (
            Severity.INFO,
            "Cutting over: both names change in one transaction.",
            "It ends by itself and cannot be stopped now.",
        )
    if status.phase is Phase.UNDOING:
        return Severity.INFO, "The names are being changed back.", "It ends by itself."
    step = next((name for name in _ORDER if name in status.state.begun), "")
    words = f"At work: {title(step)}." if step else "At work."
    if status.phase in (Phase.PREPARING, Phase.READY):
        return Severity.INFO, words, "The live database stays in use; nothing of it has changed."
    return Severity.INFO, words, "It goes on by itself when you leave."


def _untouched(status: Status) -> str:
    if status.options.replaces is None or status.phase not in (Phase.PREPARING, Phase.READY):
        return ""
    return f"'{status.options.database}' is as it was."


def _preparing(status: Status) -> tuple[Severity, str, str]:
    return (
        Severity.WARNING,
        "This restore was interrupted: its process is gone.",
        f"{_untouched(status)} It can be resumed where it stands, or taken back.".lstrip(),
    )


def _ready(status: Status) -> tuple[Severity, str, str]:
    if status.state.confirmed:
        return (
            Severity.WARNING,
            "Interrupted before the cut-over, which was confirmed already.",
            f"{_untouched(status)} Resuming cuts over at once.".lstrip(),
        )
    return (
        Severity.OK,
        "Restored and compared: ready for the cut-over.",
        f"{_untouched(status)} The cut-over ends all its sessions and changes both names in one"
        " transaction.",
    )


def _cutting(status: Status) -> tuple[Severity, str, str]:
    return (
        Severity.FAILURE,
        "Interrupted in the cut-over: the database may refuse new sessions.",
        "Resume now: it finds out on which side the names are, opens the door and ends it.",
    )


def _swapped(status: Status) -> tuple[Severity, str, str]:
    return (
        Severity.WARNING,
        f"'{status.options.database}' is the restored database; the last check is still to come.",
        "Resume does that check.",
    )


def _done(status: Status) -> tuple[Severity, str, str]:
    state = status.state
    total = duration(state.data.get("health", {}).get("total_seconds"))
    # The rest of the whole time is mostly waiting for the name to be typed.
    worked = sum(state.seconds[name] for name in state.done if name in state.seconds)
    words = f"It took {total} in all, {duration(round(worked, 2))} of it at work"
    if status.options.before:
        down = status.downtime_seconds
        measured = "was not measured" if down is None else duration(down)
        words += f"; downtime (the cut-over alone) {measured}"
    severity = Severity.WARNING if state.warnings else Severity.OK
    return severity, f"'{status.options.database}' is restored.", f"{words}."


def _undoing(status: Status) -> tuple[Severity, str, str]:
    return (
        Severity.FAILURE,
        "Interrupted while changing the names back: the database may refuse new sessions.",
        "Resume now: it opens the door and ends it.",
    )


def _undone(status: Status) -> tuple[Severity, str, str]:
    return (
        Severity.OK,
        f"'{status.options.database}' is the database from before the restore again.",
        "What was restored is kept beside it.",
    )


def _finished(status: Status) -> tuple[Severity, str, str]:
    return Severity.OK, "Finished: the other database is dropped.", "There is nothing left to do."


def _aborted(status: Status) -> tuple[Severity, str, str]:
    return (
        Severity.INFO,
        "Aborted: what was restored so far is dropped.",
        f"'{status.options.database}' was not changed.",
    )


_STANDING = {
    Phase.PREPARING: _preparing,
    Phase.READY: _ready,
    Phase.CUTTING: _cutting,
    Phase.SWAPPED: _swapped,
    Phase.DONE: _done,
    Phase.UNDOING: _undoing,
    Phase.UNDONE: _undone,
    Phase.FINISHED: _finished,
    Phase.ABORTED: _aborted,
}


def _next(status: Status, action: str) -> NextAction:
    database = status.options.database
    if action == "abort":
        stops = "Stop it, and drop" if status.running is not None else "Drop"
        scratch = status.options.scratch
        return NextAction(action, f"{stops} '{scratch}'; '{database}' stays as it is.")
    if action == "undo":
        meaning = f"'{database}' is the old database again; what was written since is put aside."
        return NextAction(action, meaning, typed=database)
    if action == "finish":
        meaning = f"Drop '{status.kept}' for good: no way back after that."
        return NextAction(action, meaning, typed=status.kept)
    if status.phase is Phase.READY and not status.state.confirmed:
        meaning = f"Give the restored database the name '{database}'; the old one is kept."
        return NextAction(action, meaning, typed=database)
    return NextAction(action, "Go on from the last step that was done.")
