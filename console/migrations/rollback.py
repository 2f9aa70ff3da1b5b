"""Back to an earlier migration: the down SQL, what it loses, and running it behind a backup.

The SQL comes from two scratch databases: what the applied migrations make, and what they make up
to the one to go back to. It runs in one transaction that is kept only if the database then is that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from psycopg import Error

from console.errors import ActionRefused, CommandFailed
from console.identifiers import TableName
from console.migrations.compare import (
    READING,
    Difference,
    Snapshot,
    compare,
    read_snapshot,
    snapshot_of,
)
from console.migrations.drift import applied_part, compare_with_live, place_notes
from console.migrations.folder import Folder
from console.migrations.history import History, State
from console.migrations.losses import Loss, losses
from console.migrations.replay import Report, bench, replay, silent
from console.migrations.script import Script, closing
from console.session import Connection, Limits, connect
from console.target import Target
from queries.parts import TRY_MIGRATION_LOCK, count_values, forget_migrations

_WRITING = Limits(statement_ms=0, lock_ms=10_000, connect_s=15)


@dataclass(frozen=True, slots=True)
class CountedLoss:
    loss: Loss
    rows: int | None
    """How many rows, or rows with a value; None when it was not or could not be counted."""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """How to go back to `name`. Nothing was done by making it."""

    name: str
    undone: tuple[str, ...]
    """Migrations whose effect goes, newest first."""
    place: str
    history: TableName
    now: Snapshot
    then: Snapshot
    differences: tuple[Difference, ...]
    script: Script
    losses: tuple[CountedLoss, ...]
    drift: tuple[Difference, ...]
    """Where the database already is not what its migrations make: it is not run over these."""
    notes: tuple[str, ...]

    @property
    def forgetting(self) -> str:
        """What makes Prisma's history say so."""
        return forget_migrations(self.history.schema, self.undone).as_string(None)

    @property
    def text(self) -> str:
        """The down SQL with its heading, as a file for psql."""
        head = f"-- Back to {self.name}; undoes {', '.join(self.undone)}.\n"
        head += "-- First: medianest-console backup create --tier pre-deployment\n"
        head += "".join(f"-- Lost: {loss_words(one)}\n" for one in self.losses)
        with_history = replace(self.script, statements=(*self.script.statements, self.forgetting))
        return head + with_history.text


def loss_words(one: CountedLoss) -> str:
    if one.rows is None:
        return one.loss.what
    counted = "rows have a value" if one.loss.column else "rows"
    return f"{one.loss.what} Now: {one.rows} {counted}."


async def plan_rollback(
    target: Target,
    folder: Folder,
    history: History,
    name: str,
    *,
    on_live_server: bool = False,
    report: Report = silent,
) -> RollbackPlan:
    """The plan to go back to the state just after migration `name`. Changes nothing.

    Raises ActionRefused for a name that is not applied or a history that cannot be judged.
    """
    earlier = folder.until(name)
    if history.problem is not None:
        raise history.problem
    _require_orderly(history, name)
    table = history.table
    assert table is not None
    applied, notes = applied_part(folder, history)
    undone = tuple(reversed([one for one in applied.names if one not in earlier.names]))
    if not undone:
        raise ActionRefused(
            f"{name} is the newest migration that is applied.", "There is nothing to roll back."
        )
    live = await read_snapshot(target)
    async with bench(target, live.major, on_live_server=on_live_server) as where:
        now = await replay(where, applied, target.schema, report)
        then = await replay(where, earlier.only(history.applied), target.schema, report)
        notes += place_notes(where, live)
        place = where.place
    differences = compare(now.snapshot, then.snapshot)
    empty = coming_back_empty(differences)
    if empty:
        notes.append(f"Comes back without what it held: {', '.join(empty)}.")
    comparison = compare_with_live(now.snapshot, live, target, notes)
    report("counting what would be lost")
    return RollbackPlan(
        name=name,
        undone=undone,
        place=place,
        history=table,
        now=now.snapshot,
        then=then.snapshot,
        differences=differences,
        script=closing(differences, now.snapshot, then.snapshot),
        losses=await _counted(target, losses(differences, now.snapshot)),
        drift=comparison.differences,
        notes=comparison.notes,
    )


def coming_back_empty(differences: Iterable[Difference]) -> list[str]:
    """Tables and columns that an undone migration dropped: only a backup has what was in them."""
    return [
        f"{one.kind} {one.subject}"
        for one in differences
        if one.before is None and one.kind in ("table", "column")
    ]


def _require_orderly(history: History, name: str) -> None:
    states = {entry.name: entry.state for entry in history.entries}
    if states.get(name) not in (State.APPLIED, State.EDITED):
        state = states.get(name, State.PENDING)
        raise ActionRefused(
            f"The migration {name} is {state} here.", "Go back to one that is applied."
        )
    open_ones = [one for one, state in states.items() if state in (State.FAILED, State.RUNNING)]
    if open_ones:
        raise ActionRefused(
            f"The migration {open_ones[0]} is {states[open_ones[0]]}.",
            "Resolve it first: nobody knows how much of it is there.",
        )
    unknown = [one for one, state in states.items() if state is State.UNKNOWN]
    if unknown:
        raise ActionRefused(
            f"The migration {unknown[0]} is applied but not in the folder.",
            "Bring its directory back first: what it made cannot be told without it.",
        )


async def _counted(target: Target, found: tuple[Loss, ...]) -> tuple[CountedLoss, ...]:
    counted = []
    async with connect(target, limits=READING) as connection:
        for loss in found:
            rows = None
            if loss.table is not None:
                rows = await _count(connection, loss.table, loss.column)
            counted.append(CountedLoss(loss, rows))
    return tuple(counted)


async def _count(connection: Connection, table: str, column: str | None) -> int | None:
    """None where it is not there (drift), may not be read, or takes too long."""
    try:
        cursor = await connection.execute(count_values(table, column))
        row = await cursor.fetchone()
    except Error:
        return None
    return int(row[0]) if row is not None else None


async def execute(
    target: Target,
    plan: RollbackPlan,
    confirmed: str,
    back_up: Callable[[], Awaitable[object]],
    report: Report = silent,
) -> None:
    """Back up, then run the plan. `confirmed` must be the database's name, as someone typed it.

    Raises ActionRefused before anything was done when it is not, when the database has drifted or
    somebody migrates; CommandFailed when it had to be undone, which leaves all as it was.
    """
    if confirmed != target.dbname:
        raise ActionRefused(
            "The name that was typed is not the database's; nothing was done.",
            f"Type {target.dbname} to confirm.",
        )
    if plan.script.by_hand:
        raise ActionRefused(
            f"This rollback needs work by hand: {plan.script.by_hand[0]}", "Run the file yourself."
        )
    async with connect(target, read_only=False, limits=_WRITING) as connection:
        cursor = await connection.execute(TRY_MIGRATION_LOCK)
        row = await cursor.fetchone()
        if row is None or not row[0]:
            raise ActionRefused("A migration runs on this database now.", "Wait until it ended.")
        await _require_unchanged(connection, target, plan)
        report("backing up")
        await back_up()
        report("rolling back")
        await _run(connection, target, plan)


async def _require_unchanged(connection: Connection, target: Target, plan: RollbackPlan) -> None:
    live = await snapshot_of(connection)
    drift = compare_with_live(plan.now, live, target, []).differences
    if drift:
        raise ActionRefused(
            f"The database is not what its migrations make: {drift[0].subject} differs"
            + (f", and {len(drift) - 1} more." if len(drift) > 1 else "."),
            "See medianest-console migrations drift, and close the differences first.",
        )


async def _run(connection: Connection, target: Target, plan: RollbackPlan) -> None:
    statement = ""
    try:
        for statement in plan.script.first:
            await connection.execute(statement.encode())
        async with connection.transaction():
            for statement in (*plan.script.statements, plan.forgetting):
                await connection.execute(statement.encode())
            await _require_arrival(connection, target, plan)
    except Error as error:
        first = statement.partition("\n")[0][:120]
        cause = (error.diag.message_primary or str(error)).partition("\n")[0]
        raise CommandFailed(
            f"The rollback was undone: {cause} (at: {first}).", _left_behind(plan)
        ) from error


async def _require_arrival(connection: Connection, target: Target, plan: RollbackPlan) -> None:
    """Raising ends the transaction without a trace."""
    live = await snapshot_of(connection)
    left = compare_with_live(plan.then, live, target, []).differences
    if left:
        raise CommandFailed(
            f"The rollback was undone: {left[0].subject} would not be as that migration left it.",
            _left_behind(plan),
        )


def _left_behind(plan: RollbackPlan) -> str:
    """PostgreSQL adds enum values only outside the transaction that uses them."""
    if plan.script.first:
        return "Only new values of enums may be left of it; the backup stays."
    return "The database is as it was; the backup stays."
