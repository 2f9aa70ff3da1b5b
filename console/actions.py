"""What an operator may set going from the tabs: each shows its exact SQL, then runs just that.

An action runs on a connection of its own that may write; everything else about it is read on a
browsing connection. Immediately before, the object must still be the one that was shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import psycopg
from psycopg import errors as pg

import queries
from console import units
from console.errors import ActionRefused, ConsoleError, PrivilegeMissing, QueryFailed, TimedOut
from console.foreign_keys import short_name, validate_statement
from console.index_rules import is_leftover, reindex_statement
from console.names import qualified, quoted
from console.session import Connection, Limits, Session, connect
from console.target import Target
from queries.catalog import Constraint, Index
from queries.progress import (
    BLOCKERS,
    CREATE_INDEX_PROGRESS,
    INDEX_LEFTOVERS,
    OBJECT_IDENTITY,
    IndexBuild,
    IndexLeftover,
    ObjectIdentity,
)

PROGRESS_SECONDS = 0.5


class Kind(StrEnum):
    REINDEX = "reindex"
    VALIDATE = "validate"
    DROP = "drop"


_LOCK_WAIT_MS = {
    # It must outwait older transactions, also for long; its locks let reads and writes pass.
    Kind.REINDEX: 0,
    Kind.VALIDATE: 10_000,
    Kind.DROP: 10_000,
}


@dataclass(frozen=True, slots=True)
class Action:
    kind: Kind
    title: str
    statement: str
    """The exact SQL that will run."""
    what: str
    """What it does, in a sentence or two."""
    risk: str
    """What may go wrong or wait, in words."""
    oid: int
    schema: str
    name: str
    table: str
    table_oid: int
    needs_typing: str | None = None
    """The name to type first, where the risk asks for it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an action is, as the server tells it."""

    seconds: float
    phase: str
    fraction: float | None
    """Of this phase, where the server knows its total."""
    detail: str

    @property
    def text(self) -> str:
        parts = [self.phase, units.percent(round(self.fraction, 2)) if self.fraction else ""]
        return "  ".join(part for part in (*parts, self.detail) if part)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended. `error` is None when it was done."""

    action: Action
    seconds: float
    message: str
    error: ConsoleError | None = None
    is_canceled: bool = False
    leftovers: tuple[Action, ...] = ()
    """What would clear up after it."""

    @property
    def is_done(self) -> bool:
        return self.error is None and not self.is_canceled


def reindex_concurrently(index: Index) -> Action:
    """Rebuild an index without blocking writes. Raises ActionRefused where that is impossible."""
    if index.is_exclusion:
        raise ActionRefused(
            f"{index.name} guards an exclusion constraint: it cannot be rebuilt concurrently.",
            "Rebuild it with REINDEX INDEX while nobody writes to the table.",
        )
    if is_leftover(index):
        raise ActionRefused(
            f"{index.name} is a left-over of an earlier rebuild.", "Drop it instead (D)."
        )
    of_parts = " of each partition, one after the other," if index.is_partitioned else ""
    return Action(
        Kind.REINDEX,
        f"Rebuild {quoted(index.name)}",
        reindex_statement(index),
        f"Builds a new copy{of_parts} beside {quoted(index.name)} and swaps them."
        " Reads and writes go on.",
        "It reads the whole table twice and needs room for a second copy"
        f" (about {units.size(index.estimated_bytes)}). It waits for every older transaction that"
        " may use the table. If it fails or is canceled, an invalid copy ending in _ccnew stays"
        " behind and must be dropped.",
        index.oid,
        index.schema,
        index.name,
        index.table,
        index.table_oid,
    )


def validate_constraint(key: Constraint) -> Action:
    """Check all rows against a foreign key. Raises ActionRefused when there is nothing to do."""
    if key.is_validated:
        raise ActionRefused(f"{key.name} is validated already.", "There is nothing to do.")
    if not key.is_enforced:
        raise ActionRefused(
            f"{key.name} is NOT ENFORCED: such a key cannot be validated.",
            f"ALTER TABLE ... ALTER CONSTRAINT {quoted(key.name)} ENFORCED checks it as well.",
        )
    return Action(
        Kind.VALIDATE,
        f"Validate {quoted(key.name)}",
        validate_statement(key),
        f"Reads all of {short_name(key.schema, key.table)} and looks for each row's target."
        " Reads and writes go on; other changes of the table's definition wait.",
        "It fails at the first row without a target and changes nothing then: count orphans (o)"
        " first. With 13 to 17 a partitioned table is checked partition by partition.",
        key.oid,
        key.schema,
        key.name,
        key.table,
        key.table_oid,
    )


def drop_leftover(index: Index) -> Action:
    """Drop what a failed rebuild left. Raises ActionRefused for any other index."""
    if not is_leftover(index):
        raise ActionRefused(
            f"{index.name} is no left-over of a rebuild: the console does not drop it.",
            "Only invalid indexes whose names end in _ccnew or _ccold can be dropped here.",
        )
    return _drop(IndexLeftover(index.oid, index.schema, index.name), index.table, index.table_oid)


def _drop(leftover: IndexLeftover, table: str, table_oid: int) -> Action:
    return Action(
        Kind.DROP,
        f"Drop {quoted(leftover.name)}",
        f"DROP INDEX CONCURRENTLY {qualified(leftover.schema, leftover.name)};",
        "Removes an invalid copy that no query uses. Reads and writes go on.",
        "It waits for older transactions that use the table. It cannot be undone, and need not be:"
        " the index it was a copy of is untouched.",
        leftover.oid,
        leftover.schema,
        leftover.name,
        table,
        table_oid,
    )


async def perform(
    target: Target,
    action: Action,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: asyncio.Event | None = None,
) -> Outcome:
    """Run the action and tell how it ended; what goes wrong is in the outcome, nothing is raised.

    `on_progress` is called about twice a second. Setting `stop` cancels the statement on the server
    and gives an outcome that says what stayed behind; so does cancelling the task, without outcome.
    """
    started = time.monotonic()
    stop = stop or asyncio.Event()
    try:
        await _run(target, action, on_progress, stop)
    except ConsoleError as error:
        seconds = time.monotonic() - started
        left = await leftovers_of(target, action)
        if stop.is_set() and isinstance(error.__cause__, pg.QueryCanceled):
            message = f"{action.title}: stopped after {units.duration(seconds)}."
            return Outcome(action, seconds, message, is_canceled=True, leftovers=left)
        return Outcome(action, seconds, error.message, error, leftovers=left)
    seconds = time.monotonic() - started
    return Outcome(action, seconds, f"{action.title}: took {units.duration(seconds)}.")


async def _run(
    target: Target,
    action: Action,
    on_progress: Callable[[Progress], None],
    stop: asyncio.Event,
) -> None:
    limits = Limits(statement_ms=0, lock_ms=_LOCK_WAIT_MS[action.kind])
    async with connect(target, read_only=False, limits=limits) as connection:
        identity = await _confirmed(connection, action)
        ended = asyncio.Event()
        pid = connection.info.backend_pid
        watching = asyncio.create_task(_watch(target, pid, on_progress, ended))
        stopping = asyncio.create_task(_cancel_when(stop, connection))
        try:
            # One statement, outside a transaction block, exactly as it was shown.
            await connection.execute(action.statement.encode())
        except psycopg.Error as error:
            explained = _explained(error, action, identity)
            if explained is None:
                raise
            raise explained from error
        finally:
            # The watcher is not cancelled: a connection that is just being made would be left to
            # the server, which waits a minute for it and so long lets no database be dropped.
            ended.set()
            stopping.cancel()
            await asyncio.gather(watching, stopping, return_exceptions=True)


async def _cancel_when(stop: asyncio.Event, connection: Connection) -> None:
    """Again and again, as a request that comes between two statements cancels nothing."""
    await stop.wait()
    while True:
        await connection.cancel_safe()
        await asyncio.sleep(PROGRESS_SECONDS)


async def _confirmed(connection: Connection, action: Action) -> ObjectIdentity:
    """The object as it is now. Raises ActionRefused unless it is what was shown."""
    kind = "constraint" if action.kind is Kind.VALIDATE else "index"
    found = await queries.fetch(connection, OBJECT_IDENTITY, {"kind": kind, "oid": action.oid})
    shown = (action.schema, action.name, action.table)
    if not found or (found[0].schema, found[0].name, found[0].table) != shown:
        raise ActionRefused(
            f"{quoted(action.name)} is no longer what was shown; nothing was done.",
            "Refresh (r) and look again.",
        )
    if action.kind is Kind.DROP:
        await _refuse_drop_in_use(connection, action, found[0])
    return found[0]


async def _refuse_drop_in_use(
    connection: Connection, action: Action, identity: ObjectIdentity
) -> None:
    if identity.is_valid:
        raise ActionRefused(f"{quoted(action.name)} is valid by now; it is not dropped.")
    for build in await queries.fetch(connection, CREATE_INDEX_PROGRESS):
        if build.hidden or build.table_oid == action.table_oid:
            raise ActionRefused(
                f"Process {build.pid} builds an index, perhaps this one; it is not dropped.",
                "Wait until the build ends, then refresh (r).",
            )


def _explained(
    error: psycopg.Error, action: Action, identity: ObjectIdentity
) -> ConsoleError | None:
    """What this action's own failures mean; None leaves it to the session's words."""
    if isinstance(error, pg.InsufficientPrivilege):
        owner, role = quoted(identity.owner), quoted(identity.role)
        return PrivilegeMissing(
            f"{action.title} needs the rights of the table's owner, {owner}.",
            f"Connect as {owner} or as a superuser, or GRANT {owner} TO {role};",
        )
    if isinstance(error, pg.LockNotAvailable):
        return TimedOut(
            f"{action.title}: another session held a lock on the table for"
            f" {units.duration(_LOCK_WAIT_MS[action.kind] / 1000)}; nothing was changed.",
            "Try again when it has finished; pg_blocking_pids() tells who it is.",
        )
    if isinstance(error, pg.ForeignKeyViolation):
        return QueryFailed(
            f"Rows without a target exist: {error.diag.message_detail or ''}",
            "Count them (o), mend or delete them, then validate again; nothing was changed.",
        )
    return None


async def leftovers_of(target: Target, action: Action) -> tuple[Action, ...]:
    """Actions that drop what an interrupted rebuild left on its table; none if it left nothing."""
    if action.kind is not Kind.REINDEX:
        return ()
    try:
        async with connect(target) as connection:
            rows = await queries.fetch(connection, INDEX_LEFTOVERS, {"table": action.table_oid})
    except ConsoleError:
        # The server may be what failed; the Indexes tab finds left-overs at its next refresh.
        return ()
    return tuple(_drop(row, action.table, action.table_oid) for row in rows)


async def _watch(
    target: Target, pid: int, on_progress: Callable[[Progress], None], ended: asyncio.Event
) -> None:
    """Tell the action's progress, as a browsing session sees it, until it has ended."""
    started = time.monotonic()
    session = Session(target)
    try:
        while not await _within(PROGRESS_SECONDS, ended):
            builds = await session.fetch(CREATE_INDEX_PROGRESS)
            build = next((build for build in builds if build.pid == pid), None)
            blockers = await session.fetch_one(BLOCKERS, {"pid": pid})
            on_progress(_progress(build, blockers.pids, time.monotonic() - started))
    except ConsoleError as error:
        on_progress(Progress(time.monotonic() - started, "running", None, error.message))
    finally:
        await session.close()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether the event comes within that time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _progress(build: IndexBuild | None, blockers: Sequence[int], seconds: float) -> Progress:
    """Whom it waits for, else the counts that its phase moves: blocks, or tuples."""
    phase = build.phase if build is not None and build.phase else "running"
    if blockers:
        processes = ", ".join(map(str, blockers))
        detail = f"waits for process {processes} to end its transaction"
        return Progress(seconds, phase, None, detail)
    if build is None:
        return Progress(seconds, phase, None, "")
    for done, total, what in (
        (build.blocks_done, build.blocks_total, "blocks"),
        (build.tuples_done, build.tuples_total, "tuples"),
    ):
        if total and done <= total:
            detail = f"{units.count(done)} of {units.count(total)} {what}"
            return Progress(seconds, phase, done / total, detail)
    return Progress(seconds, phase, None, "")
