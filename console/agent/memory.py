"""What the agent knows of a target beside its figures, kept in the history over restarts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from console.agent.alerts import Alert
from console.agent.clock import Moment
from console.agent.conditions import Condition
from console.agent.due import Failure
from console.agent.history import AgentHistory, HistoryReader
from console.backup import jsonfile

_MEMORY = "memory"
_MOST_BACKUPS = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """What the last readiness check said."""

    at: datetime
    counts: dict[str, int] = field(default_factory=dict)
    """Checks by severity."""
    failing: tuple[str, ...] = ()
    """Ids of checks that fail."""
    known: tuple[str, ...] = ()
    """Those of them that failed when the agent checked first, and ever since."""


@dataclass(slots=True)
class Memory:
    """One target's; changed in place and written whole."""

    book: dict[str, Alert] = field(default_factory=dict)
    standing: dict[str, Condition] = field(default_factory=dict)
    """What work on the target left behind, until work says otherwise."""
    made: dict[str, Moment] = field(default_factory=dict)
    """When the agent's own backups were made, by their ids."""
    done: dict[str, Moment] = field(default_factory=dict)
    """When other work was done last, e.g. drill or checks."""
    failures: dict[str, Failure] = field(default_factory=dict)
    checked: Checked | None = None
    first_seen: Moment | None = None

    def stand(self, *conditions: Condition) -> None:
        """Say what holds, or holds no more; it is said again at each look."""
        for condition in conditions:
            self.standing[condition.key] = condition

    def failed(self, what: str, now: Moment) -> None:
        before = self.failures.get(what)
        self.failures[what] = Failure(1 if before is None else before.times + 1, now)

    def succeeded(self, what: str) -> None:
        self.failures.pop(what, None)

    def forget_backups_but(self, ids: Iterable[str]) -> None:
        there = set(ids)
        kept = {name: moment for name, moment in self.made.items() if name in there}
        self.made = dict(sorted(kept.items())[-_MOST_BACKUPS:])


def recall(history: AgentHistory | HistoryReader, target: str) -> Memory:
    """What was kept of a target; a new memory when that is none, or of another version."""
    try:
        return jsonfile.decode(history.recall(target, _MEMORY), Memory)
    except ValueError:
        return Memory()


def document(memory: Memory) -> dict[str, object]:
    """The memory as the history keeps it."""
    return {_MEMORY: jsonfile.encode(memory)}
