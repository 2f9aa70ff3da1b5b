"""Prisma's migrations: applied, failed, running, rolled back, pending.

A migration that runs and one that failed have the same row: unfinished, not rolled back. The
advisory lock that Prisma's engine holds while it migrates tells them apart. Attempts marked as
rolled back do not count; a migration with no other attempt will be applied again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum

from console.capture import HISTORY_TABLE, grant_to_read
from console.checks.check import Examination, Outcome, unknown
from console.errors import PrivilegeMissing
from console.findings import Evidence, Finding, Severity
from console.identifiers import TableName
from queries.migrations import MIGRATION_HISTORY, MIGRATION_LOCK, MigrationRow, history_of

MIGRATIONS = "migrations.history"


class State(Enum):
    APPLIED = "applied"
    FAILED = "failed"
    RUNNING = "running"
    ROLLED_BACK = "rolled back"


async def migrations(examination: Examination) -> Outcome | None:
    profile = examination.profile
    wanted = profile.migrations if profile is not None else None
    structure = await examination.structure()
    if wanted is not None:
        history: TableName | None = wanted.table
    else:
        history = structure.history(examination.target.schema)
    if history is None or (profile is not None and wanted is None):
        return None
    names = wanted.names if wanted is not None else ()
    if history not in structure.tables:
        return Outcome(f"0/{len(names)} migrations", (_no_history(history),))
    try:
        rows = await examination.session.fetch(
            MIGRATION_HISTORY, relations=history_of(history.schema, history.name)
        )
    except PrivilegeMissing as error:
        fix = grant_to_read(examination.role, [history])
        finding = unknown(MIGRATIONS, str(history), error.message, fix)
        return Outcome("the history cannot be read", (finding,))
    running = bool(await examination.session.fetch(MIGRATION_LOCK))
    return judge(rows, names, history, running=running)


def judge(
    rows: Iterable[MigrationRow], names: tuple[str, ...], history: TableName, *, running: bool
) -> Outcome:
    """The outcome for the rows of the history; `names` are those expected, none when unknown."""
    attempts: defaultdict[str, list[MigrationRow]] = defaultdict(list)
    for row in rows:
        attempts[row.name].append(row)
    states = {name: _state(tries, running=running) for name, tries in attempts.items()}
    findings = []
    for name, state in states.items():
        if state is not State.APPLIED:
            findings.append(_unapplied(name, state, attempts[name][-1], history))
        elif names and name not in names:
            findings.append(_extra(name, attempts[name][-1]))
    findings += [_pending(name, history) for name in names if name not in states]
    applied = sum(state is State.APPLIED for state in states.values())
    if not names:
        return Outcome(f"{applied}/{len(states)} recorded migrations applied", tuple(findings))
    there = sum(states.get(name) is State.APPLIED for name in names)
    return Outcome(f"{there}/{len(names)} migrations", tuple(findings))


def _state(attempts: list[MigrationRow], *, running: bool) -> State:
    counted = [attempt for attempt in attempts if attempt.rolled_back_at is None]
    if not counted:
        return State.ROLLED_BACK
    if any(attempt.finished_at is None for attempt in counted):
        return State.RUNNING if running else State.FAILED
    return State.APPLIED


def _unapplied(name: str, state: State, last: MigrationRow, history: TableName) -> Finding:
    asked = f"{history}: rows with migration_name '{name}'"
    if state is State.RUNNING:
        return Finding(
            MIGRATIONS,
            Severity.WARNING,
            name,
            "The migration is running now.",
            Evidence(asked, f"started {last.started_at:%Y-%m-%d %H:%M:%S}; Prisma's lock is held"),
        )
    if state is State.ROLLED_BACK:
        return Finding(
            MIGRATIONS,
            Severity.FAILURE,
            name,
            "The migration was rolled back and has not been applied again.",
            Evidence(asked, f"rolled back {last.rolled_back_at:%Y-%m-%d %H:%M:%S}"),
            "npx prisma migrate deploy",
        )
    return Finding(
        MIGRATIONS,
        Severity.FAILURE,
        name,
        "The migration failed; Prisma applies no other until it is resolved.",
        Evidence(asked, f"started {last.started_at:%Y-%m-%d %H:%M:%S}, not finished{_why(last)}"),
        f'npx prisma migrate resolve --rolled-back "{name}"',
    )


def _why(attempt: MigrationRow) -> str:
    """The database's complaint in Prisma's log, which may otherwise quote the whole migration."""
    found = re.search(r"^(?:ERROR|Message): *(.+)$", attempt.logs or "", re.MULTILINE)
    return f"; {found[1][:200]}" if found is not None else ""


def _pending(name: str, history: TableName) -> Finding:
    return Finding(
        MIGRATIONS,
        Severity.FAILURE,
        name,
        "The migration is pending: it was never applied here.",
        Evidence(f"{history}: rows with migration_name '{name}'", "no row"),
        "npx prisma migrate deploy",
    )


def _extra(name: str, last: MigrationRow) -> Finding:
    return Finding(
        MIGRATIONS,
        Severity.INFO,
        name,
        "The migration is applied but not in the profile.",
        Evidence("migrations of the profile", f"applied {last.finished_at:%Y-%m-%d %H:%M:%S}"),
    )


def _no_history(history: TableName) -> Finding:
    return Finding(
        MIGRATIONS,
        Severity.FAILURE,
        str(history),
        f"There is no table {HISTORY_TABLE}, so no migration was ever applied by Prisma.",
        Evidence(f"pg_class: a table {history}", "no row"),
        "npx prisma migrate deploy",
    )
