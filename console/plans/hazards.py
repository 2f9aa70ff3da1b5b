"""What running a writing statement leaves behind although it is rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import queries
from console import units
from console.plans.tables import written_tables
from console.plans.tree import Plan
from console.session import connect
from console.target import Target
from queries.plans import CALLED_FUNCTIONS, WRITE_EFFECTS, WriteEffect


@dataclass(frozen=True, slots=True)
class Hazard:
    what: str
    """A word or two."""
    detail: str
    """A sentence."""


@dataclass(frozen=True, slots=True)
class Hazards:
    reasons: tuple[str, ...]
    """Why the statement is taken to write, a sentence each."""
    tables: tuple[str, ...]
    expected_rows: float
    """How many rows the planner expects to be written."""
    hazards: tuple[Hazard, ...]
    """What a rollback does not undo."""

    @property
    def text(self) -> str:
        """For a dialog: a line each."""
        return "\n".join(f"{hazard.what}: {hazard.detail}" for hazard in self.hazards)


async def hazards_of(target: Target, plan: Plan, reasons: Sequence[str]) -> Hazards:
    """What a rolled-back run of the planned statement would leave. Raises ConsoleError kinds."""
    tables = written_tables(plan)
    effects: list[WriteEffect] = []
    if tables:
        async with connect(target) as connection:
            effects = await queries.fetch(connection, WRITE_EFFECTS, {"tables": tables})
    return Hazards(
        tuple(reasons), tuple(tables), _expected_rows(plan), tuple(_hazards(plan, tables, effects))
    )


def _expected_rows(plan: Plan) -> float:
    found = 0.0
    for node in plan.nodes:
        if node.kind in ("ModifyTable", "LockRows"):
            below = [plan.nodes[n] for n in node.children if not plan.nodes[n].subplan]
            found += sum(one.planned_rows for one in below)
    return found


def _hazards(plan: Plan, tables: Sequence[str], effects: Sequence[WriteEffect]) -> Iterator[Hazard]:
    rows = units.count(_expected_rows(plan))
    if tables or any(node.kind == "LockRows" for node in plan.nodes):
        yield Hazard(
            "Locks",
            f"about {rows} rows stay locked until the rollback; the application waits for them.",
        )
    if tables:
        yield Hazard(
            "Dead rows",
            f"about {rows} row versions in {', '.join(tables)} stay until vacuum comes, and their"
            " WAL is written and sent to standbys.",
        )
    by_kind: dict[str, list[WriteEffect]] = {}
    for effect in effects:
        by_kind.setdefault(effect.kind, []).append(effect)
    sequences = [effect.name for effect in by_kind.get("sequence", [])]
    yield Hazard(
        "Sequences",
        f"{', '.join(sequences)} stay advanced: numbers will be missing."
        if sequences
        else "any that are advanced stay so.",
    )
    for trigger in by_kind.get("trigger", []):
        yield Hazard(
            f"Trigger {trigger.name}",
            f"fires and {trigger.detail}; what it does outside this database is not undone.",
        )
    keys = by_kind.get("foreign key", [])
    if keys:
        yield Hazard(
            "Foreign keys",
            f"deleting rows, or changing their key, reaches {'; '.join(k.detail for k in keys)}.",
        )
    for table in by_kind.get("foreign table", []):
        yield Hazard(f"Foreign table {table.name}", "is written on another server.")
    yield Hazard("Deferred checks", "those due at commit do not run, so their time is not in it.")


async def unknown_functions(target: Target, names: frozenset[str]) -> tuple[str, ...]:
    """Functions of users or extensions that may do anything: a sentence each."""
    if not names:
        return ()
    async with connect(target) as connection:
        found = await queries.fetch(connection, CALLED_FUNCTIONS, {"names": sorted(names)})
    return tuple(
        dict.fromkeys(
            f"{function.name}() is VOLATILE ({function.language}): only its author knows what it"
            " does outside the transaction."
            for function in found
            if function.is_volatile
        )
    )
