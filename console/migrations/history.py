"""What was applied, against the folder: the history as `prisma migrate deploy` would judge it.

Attempts marked as rolled back do not count, and checksums are compared with the newest attempt that
counts (Prisma's own `status` takes the first row of a name, also one that was rolled back).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from console.capture import HISTORY_TABLE, grant_to_read
from console.errors import ConsoleError, PrivilegeMissing, QueryFailed
from console.findings import Severity
from console.identifiers import TableName
from console.migrations.folder import Folder, Migration
from console.session import Session
from queries.backup import PRISMA_TABLE
from queries.migrations import MIGRATION_HISTORY, MIGRATION_LOCK, MigrationRow, history_of


class State(StrEnum):
    APPLIED = "applied"
    PENDING = "pending"
    FAILED = "failed"
    RUNNING = "running"
    ROLLED_BACK = "rolled back"
    """And not applied again: deploy will apply it."""
    EDITED = "edited after apply"
    UNKNOWN = "unknown to the folder"


_SEVERITY = {
    State.APPLIED: Severity.OK,
    State.PENDING: Severity.WARNING,
    State.FAILED: Severity.FAILURE,
    State.RUNNING: Severity.WARNING,
    State.ROLLED_BACK: Severity.WARNING,
    State.EDITED: Severity.FAILURE,
    State.UNKNOWN: Severity.FAILURE,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One migration, in the folder, the history or both."""

    name: str
    state: State
    started_at: datetime | None = None
    """Of the newest attempt that counts, as `applied_at`."""
    applied_at: datetime | None = None
    attempts: int = 0
    checksum_agrees: bool | None = None
    """Whether the file is the one that was applied; None where either is missing."""
    remark: str = ""
    logs: str | None = None
    """What a failed attempt said."""

    @property
    def severity(self) -> Severity:
        return _SEVERITY[self.state]

    @property
    def seconds(self) -> float | None:
        """How long it took to apply; 0 for one that was only marked as applied."""
        if self.started_at is None or self.applied_at is None:
            return None
        return (self.applied_at - self.started_at).total_seconds()

    @property
    def is_in_database(self) -> bool:
        return self.state in (State.APPLIED, State.EDITED, State.UNKNOWN)

    @property
    def fix(self) -> str:
        """The command that would bring it in order."""
        if self.state is State.FAILED:
            return f'npx prisma migrate resolve --rolled-back "{self.name}"'
        if self.state in (State.PENDING, State.ROLLED_BACK):
            return "npx prisma migrate deploy"
        if self.state is State.EDITED:
            return "Restore the file from version control; write further changes as a new migration"
        if self.state is State.UNKNOWN:
            return "Bring the migration's directory back from version control"
        return ""


@dataclass(frozen=True, slots=True)
class History:
    table: TableName | None
    """Where it is; None when the database has none."""
    entries: tuple[Entry, ...]
    """In the order of their names."""
    problem: ConsoleError | None = None
    """Why it could not be read: nothing is known of the database then."""
    lock_holder: int | None = None
    """The backend that migrates now."""

    @property
    def verdict(self) -> Severity:
        if self.problem is not None:
            return Severity.UNKNOWN
        found = (entry.severity for entry in self.entries)
        return min(found, key=lambda severity: severity.rank, default=Severity.OK)

    @property
    def applied(self) -> frozenset[str]:
        """Names of migrations whose effect the database has."""
        return frozenset(entry.name for entry in self.entries if entry.is_in_database)

    @property
    def summary(self) -> str:
        if self.problem is not None:
            return f"the history cannot be read: {self.problem.message}"
        counts = [(state, sum(e.state is state for e in self.entries)) for state in State]
        told = ", ".join(f"{number} {state}" for state, number in counts if number)
        return told or "no migrations"


async def read_history(
    session: Session, folder: Folder | None, schema: str | None = None
) -> History:
    """The history of the database against the folder, or alone.

    `schema` is where the table is looked for first. A missing privilege is the answer's `problem`,
    with the grant that would help; other ConsoleErrors are raised.
    """
    found = await session.fetch(PRISMA_TABLE)
    wanted = next((row for row in found if row.schema == schema), next(iter(found), None))
    if wanted is None:
        return History(None, judge((), folder, running=False))
    table = TableName(wanted.schema, HISTORY_TABLE)
    try:
        rows = await session.fetch(
            MIGRATION_HISTORY, relations=history_of(table.schema, table.name)
        )
    except PrivilegeMissing as error:
        role = session.server.role if session.server is not None else session.target.user
        return History(table, (), PrivilegeMissing(error.message, grant_to_read(role, [table])))
    except QueryFailed as error:
        hint = f"{table} does not have the columns that Prisma gives it."
        return History(table, (), QueryFailed(error.message, hint))
    holders = await session.fetch(MIGRATION_LOCK)
    entries = judge(rows, folder, running=bool(holders))
    return History(table, entries, lock_holder=holders[0].pid if holders else None)


def judge(
    rows: Iterable[MigrationRow], folder: Folder | None, *, running: bool
) -> tuple[Entry, ...]:
    """Each migration's state; `running` says whether Prisma's advisory lock is held.

    Without a folder nothing is pending, edited or unknown: only the rows speak.
    """
    attempts: defaultdict[str, list[MigrationRow]] = defaultdict(list)
    for row in rows:
        attempts[row.name].append(row)
    in_folder = {one.name: one for one in folder.migrations} if folder is not None else {}
    last_applied = max((name for name, tries in attempts.items() if _finished(tries)), default="")
    entries = []
    for name in sorted({*attempts, *in_folder}):
        tries = sorted(attempts.get(name, []), key=lambda row: row.started_at)
        entry = _entry(name, tries, in_folder.get(name), running=running)
        if folder is not None and name not in in_folder:
            is_applied = entry.state is State.APPLIED
            state = State.UNKNOWN if is_applied else entry.state
            entry = replace(entry, state=state, remark="it is not in the folder")
        elif entry.state in (State.PENDING, State.ROLLED_BACK) and name < last_applied:
            late = "a later migration is applied already; deploy will apply it out of order"
            entry = replace(entry, remark=late)
        entries.append(entry)
    return tuple(entries)


def _entry(
    name: str, tries: list[MigrationRow], migration: Migration | None, *, running: bool
) -> Entry:
    """`tries` are the attempts, oldest first."""
    counted = [row for row in tries if row.rolled_back_at is None]
    state, remark, agrees = _state(tries, counted, running=running), "", None
    newest = counted[-1] if counted else None
    if migration is not None and newest is not None:
        agrees = migration.has_checksum(newest.checksum)
        if state is State.APPLIED and not agrees:
            state, remark = State.EDITED, "its file is not the one that was applied"
    return Entry(
        name=name,
        state=state,
        started_at=newest.started_at if newest else None,
        applied_at=newest.finished_at if newest else None,
        attempts=len(tries),
        checksum_agrees=agrees,
        remark=remark,
        logs=tries[-1].logs if tries else None,
    )


def _finished(attempts: Iterable[MigrationRow]) -> bool:
    return any(row.finished_at is not None and row.rolled_back_at is None for row in attempts)


def _state(tries: list[MigrationRow], counted: list[MigrationRow], *, running: bool) -> State:
    if not tries:
        return State.PENDING
    if not counted:
        return State.ROLLED_BACK
    if any(row.finished_at is None for row in counted):
        return State.RUNNING if running else State.FAILED
    return State.APPLIED
