"""What can be recovered to: from the end of each base backup to the end of the WAL behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.backup.manifest import Verdict
from console.pitr.audit import Audit, Run
from console.pitr.base import Base
from console.pitr.names import lsn


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of time without a hole; `bases` are those that recovery can begin from."""

    run: Run
    bases: tuple[Base, ...]
    """Oldest first; each verified or at least not known to be bad."""
    from_time: datetime
    from_lsn: int
    to_time: datetime | None
    to_lsn: int

    def holds_time(self, moment: datetime) -> bool:
        return self.from_time <= moment and self.to_time is not None and moment <= self.to_time

    def holds_lsn(self, position: int) -> bool:
        return self.from_lsn <= position <= self.to_lsn


def windows(audit: Audit, bases: tuple[Base, ...]) -> tuple[Window, ...]:
    """Every window, the oldest first."""
    found = []
    for run in audit.runs:
        fitting = sorted((base for base in bases if begins_in(run, base)), key=lambda base: base.id)
        if not fitting:
            continue
        first = fitting[0].manifest
        if first is None:
            continue
        last = max(filter(None, (run.last_at, first.ended_at)))
        found.append(
            Window(run, tuple(fitting), first.ended_at, lsn(first.stop_lsn), last, run.end)
        )
    return tuple(found)


def begins_in(run: Run, base: Base) -> bool:
    """Whether recovery can go from the base into this run.

    The base carries the WAL that makes it consistent itself; what follows must be in the run.
    """
    manifest = base.manifest
    if manifest is None or base.verdict is Verdict.FAIL:
        return False
    stop = lsn(manifest.stop_lsn)
    same = run.history.timeline_at(stop - 1) == manifest.timeline
    right = run.stretch.foreign or manifest.stretch == run.stretch.number
    return same and right and run.start <= stop <= run.end


def orphans(audit: Audit, bases: tuple[Base, ...]) -> tuple[Base, ...]:
    """Bases that lead nowhere beyond their own end, for want of WAL."""
    return tuple(
        base
        for base in bases
        if base.manifest is not None and not any(begins_in(run, base) for run in audit.runs)
    )
