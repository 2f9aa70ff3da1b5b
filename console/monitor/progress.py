"""How far long operations are: the phase, its number of all phases, and its share done."""

from __future__ import annotations

from dataclasses import dataclass

from console import units
from queries.operations import Operation

# PostgreSQL, Progress Reporting: the phases of each command, in their order.
_PHASES = {
    "vacuum": (
        "initializing",
        "scanning heap",
        "vacuuming indexes",
        "vacuuming heap",
        "cleaning up indexes",
        "truncating heap",
        "performing final cleanup",
    ),
    "analyze": (
        "initializing",
        "acquiring sample rows",
        "acquiring inherited sample rows",
        "computing statistics",
        "computing extended statistics",
        "finalizing analyze",
    ),
    "create index": (
        "initializing",
        "waiting for writers before build",
        "building index",
        "waiting for writers before validation",
        "index validation: scanning index",
        "index validation: sorting tuples",
        "index validation: scanning table",
        "waiting for old snapshots",
        "waiting for readers before marking dead",
        "waiting for readers before dropping",
    ),
    "cluster": (
        "initializing",
        "seq scanning heap",
        "index scanning heap",
        "sorting tuples",
        "writing new heap",
        "swapping relation files",
        "rebuilding index",
        "performing final cleanup",
    ),
    "base backup": (
        "initializing",
        "waiting for checkpoint to finish",
        "estimating backup size",
        "streaming database files",
        "waiting for wal archiving to finish",
        "transferring wal files",
    ),
    "copy": ("copying",),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One operation, ready to draw."""

    operation: Operation
    fraction: float | None
    """Of the phase, 0 to 1; None where the server knows no total."""
    step: int | None
    steps: int

    @property
    def key(self) -> str:
        return f"{self.operation.pid}/{self.operation.started_at}/{self.operation.kind}"

    @property
    def title(self) -> str:
        """E.g. 'autovacuum media_requests', 'copy from users', 'create index users'."""
        operation = self.operation
        command = (operation.command or "").lower().removesuffix(" concurrently")
        name = command or operation.kind
        parts = ["auto" + name if operation.is_automatic else name, operation.relation]
        return " ".join(part for part in parts if part)

    @property
    def phase(self) -> str:
        if self.operation.phase is None:
            return "hidden from this role"
        step = f"{self.step}/{self.steps} " if self.step and self.steps > 1 else ""
        return f"{step}{self.operation.phase}"

    @property
    def amount(self) -> str:
        """E.g. '1.2k of 3.4k blocks'."""
        done, total, unit = self.operation.done, self.operation.total, self.operation.unit
        if done is None:
            return ""
        if unit == "bytes":
            of = f" of {units.size(total)}" if total else ""
            return f"{units.size(done)}{of}"
        of = f" of {units.count(total)}" if total else ""
        return f"{units.count(done)}{of} {unit}"


def bar(operation: Operation) -> Bar:
    done, total = operation.done, operation.total
    fraction = min(done / total, 1.0) if done is not None and total else None
    phases = _PHASES.get(operation.kind, ())
    # 'building index: scanning table' is a part of 'building index'.
    phase = operation.phase or ""
    step = next((n for n, name in enumerate(phases, 1) if phase.startswith(name)), None)
    return Bar(operation, fraction, step, len(phases))
