"""The steps up to the confirmation: the live database stays in use, and nothing of it changes.

Each is journalled before and after; one that is done is passed over when a restore is resumed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from console.backup import load
from console.backup.drill import compare_objects, compare_rows, judge_findings
from console.backup.dump import Progress, create_backup
from console.backup.job import checks_of
from console.backup.load import LoadOptions, LoadProgress, search_path_of
from console.backup.manifest import Check, TableRows, Tier, Verdict, read_objects
from console.backup.snapshot import count_restored, server_major
from console.backup.snapshot import read_objects as read_restored
from console.backup.store import Store
from console.backup.verify import verify
from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.restore import swap
from console.restore.journal import Journal, read_entries
from console.restore.options import Options
from console.restore.plan import read_expected_rows
from console.restore.preflight_database import original_properties
from console.restore.source import SAFETY_NOTE, Source, reopened
from console.restore.status import State, fold
from console.session import Connection
from console.settings import Settings
from console.target import Target
from console.tools import find_tools, with_database
from queries.backup import RoleInUse
from queries.database import create_role

_SHOW_SECONDS = 0.3


@dataclass(slots=True)
class Work:
    """One restore with all that its steps need."""

    journal: Journal
    options: Options
    target: Target
    settings: Settings
    _shown: float = 0.0

    @property
    def state(self) -> State:
        return fold(read_entries(self.journal.directory))

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[Connection]:
        """A session in a database that this restore neither renames nor drops."""
        async with swap.maintenance(self.target, avoiding=self.options.names) as connection:
            yield connection

    def warn(self, message: str) -> None:
        self.journal.note("warning", message=message)

    def show(self, step: str, progress: LoadProgress | Progress) -> None:
        """Let a watcher see it, not more often than anybody looks."""
        now = time.monotonic()
        if now - self._shown < _SHOW_SECONDS:
            return
        self._shown = now
        shown: dict[str, Any] = {"step": step, "phase": progress.phase, "table": progress.table}
        if isinstance(progress, LoadProgress):
            shown |= {"done": progress.done_entries, "expected": progress.expected_entries}
        else:
            shown |= {"done_bytes": progress.done_bytes, "expected_bytes": progress.expected_bytes}
        self.journal.show(**shown)


Step = Callable[[Work, dict[str, Any]], Awaitable[None]]


async def prepare(work: Work) -> None:
    """Everything up to a restored and validated database beside the live one.

    Raises ConsoleError kinds; what failed is journalled, and may be resumed or aborted.
    """
    done = set(work.state.done)
    if "load" not in done:
        done.discard("create")  # what half a load has left is not loaded into again
    for name, step in _STEPS:
        if name not in done:
            with work.journal.step(name) as made:
                await step(work, made)


async def _safety(work: Work, made: dict[str, Any]) -> None:
    if not work.options.safety:
        made["skipped"] = "not asked for" if work.options.replaces else "there is no database"
        return
    target = with_database(work.target, work.options.database)
    store = Store(work.settings.backups.directory)

    def report(progress: Progress) -> None:
        work.show("safety", progress)

    try:
        tools = await find_tools(await server_major(target), work.settings.tools, target=target)
        backup = await create_backup(
            target,
            store,
            work.settings.backups,
            tools,
            tier=Tier.MANUAL,
            note=f"{SAFETY_NOTE} {work.options.id}",
            report=report,
        )
        verified = await verify(store, backup, work.settings.tools)
    except ActionRefused as error:
        raise ActionRefused(
            f"The safety backup was refused: {error.message}",
            f"{error.hint} Or abort, and begin again with --no-safety-backup.".lstrip(),
        ) from error
    except ConsoleError as error:
        made["skipped"] = error.message
        work.warn(f"There is no safety backup: {error.message} The old database is kept.")
        return
    made["backup"], made["verdict"] = backup.id, str(verified.verdict)
    if verified.verdict is not Verdict.PASS:
        work.warn(f"The safety backup {backup.id} did not pass: {verified.verdict}.")


async def _roles(work: Work, made: dict[str, Any]) -> None:
    async with work.standing() as connection:
        for name in work.options.missing_roles:
            role = RoleInUse(name, False, True, False, False, False, False, False, -1, ())
            with contextlib.suppress(psycopg.errors.DuplicateObject):
                await connection.execute(create_role(role))
    made["created"] = list(work.options.missing_roles)


async def _create(work: Work, made: dict[str, Any]) -> None:
    options = work.options
    source = _source(work)
    async with work.standing() as connection:
        await drop_scratch(connection, work)
        live = await swap.by_oid(connection, options.replaces) if options.replaces else None
        place = with_database(work.target, connection.info.dbname)
    like = await original_properties(work.target, source.manifest, options.database, options.locale)
    owner = options.owner or (live.owner if live else like.owner if like else None)
    await load.create(place, options.scratch, like, comment=options.mark, owner=owner)
    async with work.standing() as connection:
        row = await swap.by_name(connection, options.scratch)
    if row is None:
        raise CommandFailed(f"'{options.scratch}' is gone again.", "See who drops databases.")
    made["oid"] = row.oid


async def drop_scratch(connection: Connection, work: Work) -> str:
    """Drop the scratch database that this restore made, if it is there; its name, or ''.

    Raises ActionRefused when the name is somebody else's.
    """
    options = work.options
    row = await swap.by_name(connection, options.scratch)
    if row is None:
        return ""
    # CREATE DATABASE and its comment are two statements: a kill between them leaves it bare; and
    # before the cut-over it gets the live one's comment.
    if row.oid != work.state.made_oid and row.comment not in (options.mark, None):
        raise ActionRefused(
            f"The database '{options.scratch}' was not made by this restore.",
            "Rename it, then resume.",
        )
    return await swap.drop(connection, row.oid, but_never=options.database)


async def _load(work: Work, made: dict[str, Any]) -> None:
    options, source = work.options, _source(work)
    target = with_database(work.target, options.scratch)
    needed = max(await server_major(target), source.reader_major)
    tools = await find_tools(needed, work.settings.tools, target=target)
    chosen = LoadOptions(
        jobs=options.jobs,
        owners=not options.owner,
        privileges=options.privileges,
        role=options.owner or None,
        search_path=search_path_of(source.manifest),
    )

    def report(progress: LoadProgress) -> None:
        work.show("load", progress)

    with contextlib.ExitStack() as held:
        if source.backup is not None:
            store = Store(source.backup.path.parent.parent)
            held.enter_context(store.using(source.backup))
        loaded = await load.load(tools, target, source.path, chosen, report)
    loaded.require_good()
    made["harmless"] = len(loaded.harmless)
    made["second_pass"] = len(loaded.mended)


async def _validate(work: Work, made: dict[str, Any]) -> None:
    source, target = _source(work), with_database(work.target, work.options.scratch)
    rows = await count_restored(target)
    checks = compare_rows(_expected(work, source), rows)
    if source.backup is not None:
        expected = await asyncio.to_thread(read_objects, source.backup.path)
        if expected is not None:
            checks += compare_objects(expected, await read_restored(target))
    profiled = await _profile_checks(work, target)
    made["checks"] = [[c.what, str(c.verdict), c.answer] for c in (*checks, *profiled)]
    _judge(work, checks)
    for check in profiled:
        if check.verdict is not Verdict.PASS:
            work.warn(_words_of_profile(check, checks))


async def _profile_checks(work: Work, target: Target) -> list[Check]:
    try:
        findings = await checks_of(work.target)(target)
    except ConsoleError as error:
        return [Check("the profile's checks", Verdict.COULD_NOT_VERIFY, error.message)]
    return [judge_findings(findings)] if findings else []


def _words_of_profile(check: Check, compared: Sequence[Check]) -> str:
    """What fails in a true copy fails in its source: that is told, and holds nothing up."""
    if check.verdict is not Verdict.FAIL:
        return f"Not checked: {check.what}: {check.answer.removesuffix('.')}."
    if compared and all(other.verdict is Verdict.PASS for other in compared):
        return f"{check.answer}. The database was so when it was backed up: it is a true copy."
    return f"{check.answer}. Whether it was so when it was backed up is not known."


def _judge(work: Work, checks: Sequence[Check]) -> None:
    wrong = [f"{check.what}: {check.answer}" for check in checks if check.verdict is Verdict.FAIL]
    if wrong:
        raise CommandFailed(
            f"What was restored is not what was dumped: {'; '.join(wrong)}.",
            "Nothing else was changed; abort, and restore another backup.",
        )
    for check in checks:
        if check.verdict is Verdict.COULD_NOT_VERIFY:
            work.warn(f"Not compared: {check.what}: {check.answer}.")


def _expected(work: Work, source: Source) -> Sequence[TableRows] | None:
    if source.manifest is not None and source.manifest.tables is not None:
        return source.manifest.tables
    rows = read_expected_rows(work.journal.directory)
    return [TableRows(schema, name, number) for (schema, name), number in rows.items()] or None


def _source(work: Work) -> Source:
    return reopened(work.options.archive, work.options.backup)


_STEPS: tuple[tuple[str, Step], ...] = (
    ("safety", _safety),
    ("roles", _roles),
    ("create", _create),
    ("load", _load),
    ("validate", _validate),
)
