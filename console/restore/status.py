"""Where a restore stands, and what may be done about it: read from its journal, by anybody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from console.errors import ActionRefused, ConsoleError, ExitCode
from console.restore import names
from console.restore.journal import (
    Entry,
    Event,
    all_restores,
    read_entries,
    read_progress,
    running_pid,
)
from console.restore.options import Options, read_options


class Phase(StrEnum):
    PREPARING = "preparing"
    """The live database was not touched yet."""
    READY = "ready for cut-over"
    """Restored and validated; it waits for the database's name to be confirmed."""
    CUTTING = "cutting over"
    """The door may be closed."""
    SWAPPED = "cut over"
    """The restored database has the name; the last checks are still to come."""
    DONE = "done"
    """The old database is kept, for undo, where there was one."""
    UNDOING = "undoing"
    UNDONE = "undone"
    FINISHED = "finished"
    ABORTED = "aborted"


OPEN_PHASES = frozenset({Phase.PREPARING, Phase.READY, Phase.CUTTING, Phase.SWAPPED, Phase.UNDOING})
"""A restore in one of these is to be resumed or aborted before another may begin."""

_STEPS = ("safety", "roles", "create", "load", "validate", "properties", "hook-before")
_AFTER = {name: frozenset(_STEPS[number + 1 :]) for number, name in enumerate(_STEPS)}


@dataclass(slots=True)
class State:
    """What the entries add up to."""

    done: set[str] = field(default_factory=set)
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each done step recorded."""
    begun: set[str] = field(default_factory=set)
    """Steps with an intent that neither done nor failed followed."""
    warnings: list[str] = field(default_factory=list)
    confirmed: bool = False
    failure: dict[str, str] = field(default_factory=dict)
    """The last step's, when it failed and nothing was tried since."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def made_oid(self) -> int | None:
        """Of the scratch database that was made last, whatever has become of it."""
        oid = self.data.get("create", {}).get("oid")
        return int(oid) if oid is not None else None

    @property
    def scratch_oid(self) -> int | None:
        return self.made_oid if "create" in self.done else None

    @property
    def phase(self) -> Phase:
        for name, phase in _FINAL:
            if name in self.done:
                return phase
        if "undo-close" in self.begun or "undo-swap" in self.begun or "undo-close" in self.done:
            return Phase.UNDOING
        if "health" in self.done:
            return Phase.DONE
        if "swap" in self.done:
            return Phase.SWAPPED
        if "close" in self.begun or "swap" in self.begun or "close" in self.done:
            return Phase.CUTTING
        return Phase.READY if "validate" in self.done else Phase.PREPARING


_FINAL = (
    ("finish", Phase.FINISHED),
    ("abort", Phase.ABORTED),
    ("undo-swap", Phase.UNDONE),
)


def fold(entries: Iterable[Entry]) -> State:
    """The state after all entries; a step that is begun again forgets what followed it."""
    state = State()
    for entry in entries:
        if entry.event is Event.NOTE:
            _note(state, entry)
            continue
        name = entry.step
        if entry.event is Event.INTENT:
            state.failure = {}
            state.begun.add(name)
            state.done -= _AFTER.get(name, frozenset()) | {name}
            continue
        state.begun.discard(name)
        if entry.seconds is not None:
            state.seconds[name] = entry.seconds
        if entry.event is Event.DONE:
            state.done.add(name)
            state.data[name] = entry.data
        else:
            state.failure = {"step": name, **entry.data}
    return state


def _note(state: State, entry: Entry) -> None:
    if entry.step == "warning":
        state.warnings.append(str(entry.data.get("message", "")))
    elif entry.step == "confirmed":
        state.confirmed = True
    elif entry.step == "opened":
        # The door is open again under the old names: nothing of this cut-over is left.
        state.done -= {"close", "undo-close", "hook-before"}
        state.begun -= {"close", "swap", "undo-close", "undo-swap"}


@dataclass(frozen=True, slots=True)
class Status:
    """One restore as a person or another program sees it."""

    directory: Path
    options: Options
    state: State
    running: int | None
    """The pid of its process, 0 while it starts, None when none is at work."""
    progress: dict[str, Any]

    @property
    def id(self) -> str:
        return self.options.id

    @property
    def phase(self) -> Phase:
        return self.state.phase

    @property
    def is_open(self) -> bool:
        """It is not over: at work, or to be resumed or aborted."""
        return self.running is not None or self.phase in OPEN_PHASES

    @property
    def downtime_seconds(self) -> float | None:
        """From the door closed to the door open; None before, or when a crash hid it."""
        measured = self.state.data.get("swap", {}).get("downtime_seconds")
        return float(measured) if measured is not None else None

    @property
    def kept(self) -> str:
        """The database that `finish` drops; '' when there is none."""
        if not self.options.before or "finish" in self.state.done:
            return ""
        if self.phase is Phase.UNDONE:
            return names.restored(self.options.database, self.options.stamp)
        return self.options.before if self.phase in (Phase.DONE, Phase.SWAPPED) else ""

    @property
    def actions(self) -> tuple[str, ...]:
        """What may be done now."""
        if self.running is not None:
            return () if self.phase in _TOO_LATE else ("abort",)
        allowed = _ACTIONS.get(self.phase, ())
        if not self.options.before:
            allowed = tuple(action for action in allowed if action not in ("undo", "finish"))
        return allowed

    @property
    def exit_code(self) -> ExitCode:
        """What the command that watched it says: 0 well, 1 with warnings, 2 failed."""
        if self.state.failure:
            return ExitCode.FAILURES
        if self.running is None and self.phase in (Phase.PREPARING, Phase.CUTTING, Phase.UNDOING):
            return ExitCode.FAILURES
        return ExitCode.WARNINGS if self.state.warnings else ExitCode.OK

    def require(self, action: str) -> None:
        """Raises ActionRefused when this may not be done now."""
        if action in self.actions:
            return
        possible = " or ".join(f"`restore {name}`" for name in self.actions)
        doing = "is running" if self.running is not None else f"is {self.phase}"
        raise ActionRefused(
            f"The restore {self.id} {doing}: it cannot {action} now.",
            f"What can be done: {possible}." if possible else "See `restore status`.",
        )


_TOO_LATE = (Phase.CUTTING, Phase.SWAPPED, Phase.UNDOING)
_ACTIONS = {
    Phase.PREPARING: ("resume", "abort"),
    Phase.READY: ("resume", "abort"),
    Phase.CUTTING: ("resume", "abort"),
    Phase.SWAPPED: ("resume", "undo"),
    Phase.DONE: ("undo", "finish"),
    Phase.UNDOING: ("resume", "undo"),
    Phase.UNDONE: ("finish",),
}


def read_status(directory: Path, *, held_by_us: bool = False) -> Status:
    """Where one restore stands. Raises CommandFailed when its files cannot be read.

    Who holds its lock (`held_by_us`) sees it as nobody's work.
    """
    # Whether it runs is asked first: what it wrote before it ended is then read for certain.
    running = None if held_by_us else running_pid(directory)
    return Status(
        directory,
        read_options(directory),
        fold(read_entries(directory)),
        running,
        read_progress(directory) if running is not None else {},
    )


def all_status() -> tuple[Status, ...]:
    """Every remembered restore that can be read, the newest first."""
    found = []
    for directory in all_restores():
        try:
            found.append(read_status(directory))
        except ConsoleError:
            # A damaged one is told when it is asked for by its id.
            continue
    return tuple(found)


def find_status(reference: str | None = None) -> Status:
    """A restore by its id or the beginning of one; without, the one that is open, else the newest.

    Raises ActionRefused when there is none.
    """
    if reference is None:
        every = all_status()
        chosen = next((status for status in every if status.is_open), next(iter(every), None))
        if chosen is None:
            raise ActionRefused(
                "There is no restore to speak of.", "Begin one with `restore latest`."
            )
        return chosen
    found = [path for path in all_restores() if path.name.startswith(reference)]
    if len(found) != 1:
        many = "no restore" if not found else "more than one restore"
        raise ActionRefused(
            f"There is {many} '{reference}'.", "`restore status --all` shows every one."
        )
    return read_status(found[0])
