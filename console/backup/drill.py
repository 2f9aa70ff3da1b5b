"""A drill: restore a backup into a scratch database, compare it with what was dumped, drop it.

It never touches the live database. What could not be tried is no pass.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

import psycopg

import queries
from console.backup import scratch
from console.backup.load import Loaded, LoadOptions, LoadProgress, load, search_path_of
from console.backup.manifest import Check, Manifest, TableRows, Verdict, proof, read_objects
from console.backup.policy import BackupSettings
from console.backup.snapshot import count_restored
from console.backup.snapshot import read_objects as read_restored_objects
from console.backup.store import Backup, Store
from console.errors import ActionRefused, ConsoleError
from console.findings import Finding, Severity
from console.session import Limits, connect
from console.target import Target
from console.tools import ToolSettings, find_tools
from console.units import count, duration
from queries.backup import EXTENSION_STATE, DumpedObject
from queries.database import check_indexes, create_extension, create_schema, set_search_path

Place = Literal["server", "temporary"]
ProfileChecks = Callable[[Target], Awaitable[Sequence[Finding]]]
Report = Callable[[LoadProgress], None]

_PATIENT = Limits(statement_ms=0, lock_ms=30_000, connect_s=15)
_AMCHECK_SCHEMA = "medianest_console_amcheck"
_ENVIRONMENT = re.compile(
    r'extension ".+" is not available|could not open extension control file'
    r"|No space left on device|permission denied to create extension|server closed the connection"
    r'|role ".+" does not exist|must be able to SET ROLE|terminating connection'
)
"""Errors that speak of where it was restored, not of the backup."""


def silent(progress: LoadProgress) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True, slots=True)
class DrillOptions:
    place: Place = "server"
    jobs: int = 2
    amcheck: bool = True
    profile_checks: ProfileChecks | None = None
    """Run against the restored database; a failure among its findings fails the drill."""


async def drill(
    store: Store,
    backup: Backup,
    target: Target | None,
    settings: BackupSettings,
    tool_settings: ToolSettings,
    options: DrillOptions | None = None,
    report: Report = silent,
) -> Backup:
    """Drill a backup and record the result; the backup as it is then.

    `target` is the server to restore on when `options.place` is "server". Raises ActionRefused
    for a damaged backup, CommandFailed when the result cannot be written down.
    """
    options = options or DrillOptions(jobs=settings.jobs)
    if backup.manifest is None or backup.archive_path is None:
        raise ActionRefused(
            f"The backup {backup.id} is damaged: {backup.problem or 'it has no archive'}.",
            "Use another backup.",
        )
    began = time.monotonic()
    trial = _Trial(backup, backup.manifest, tool_settings, options, report)
    with store.using(backup):
        try:
            await trial.run(target)
        except ConsoleError as error:
            trial.checks.append(Check("restore", Verdict.COULD_NOT_VERIFY, str(error)))
    found = proof(
        "drill",
        trial.checks,
        time.monotonic() - began,
        place=trial.place,
        restore_seconds=trial.restore_seconds,
    )
    return await asyncio.to_thread(
        store.change_record, backup, lambda record: record.with_proof(found)
    )


class _Trial:
    def __init__(
        self,
        backup: Backup,
        manifest: Manifest,
        tool_settings: ToolSettings,
        options: DrillOptions,
        report: Report,
    ) -> None:
        self.backup = backup
        self.manifest = manifest
        self.tool_settings = tool_settings
        self.options = options
        self.report = report
        self.checks: list[Check] = []
        self.place = ""
        self.restore_seconds: float | None = None

    async def run(self, target: Target | None) -> None:
        began = time.monotonic()
        async with self._scratch(target) as place:
            self.place = place.place
            prepared = time.monotonic() - began if self.options.place == "server" else 0.0
            self.checks += [Check("locale", Verdict.PASS, note) for note in place.notes]
            if not await self._restore(place, prepared):
                return
            self.report(LoadProgress("comparing rows"))
            self.checks += compare_rows(self.manifest.tables, await count_restored(place.target))
            expected = await asyncio.to_thread(read_objects, self.backup.path)
            self.checks += compare_objects(expected, await read_restored_objects(place.target))
            if self.options.profile_checks is not None:
                self.report(LoadProgress("running the profile's checks"))
                findings = await self.options.profile_checks(place.target)
                self.checks += [judge_findings(findings)] if findings else []
            if self.options.amcheck:
                self.report(LoadProgress("checking indexes against their tables"))
                self.checks += await amcheck(place.target, search_path_of(self.manifest))

    def _scratch(self, target: Target | None) -> AbstractAsyncContextManager[scratch.Scratch]:
        manifest = self.manifest
        if self.options.place == "server":
            if target is None:
                raise ActionRefused(
                    "No server is named to drill on.", "Name a target, or use a temporary server."
                )
            return scratch.beside(target, manifest.properties, "drill")
        return scratch.on_temporary_server(
            manifest.server_major, manifest.properties, manifest.roles, manifest.database_bytes
        )

    async def _restore(self, place: scratch.Scratch, prepared: float) -> bool:
        async with connect(place.target) as connection:
            server_major = connection.info.server_version // 10000
        made_by = self.manifest.tools_version.partition(".")[0]
        needed = max(server_major, int(made_by) if made_by.isdigit() else 0)
        tools = await find_tools(needed, self.tool_settings, target=place.target)
        options = LoadOptions(jobs=self.options.jobs, search_path=search_path_of(self.manifest))
        path = self.backup.archive_path
        if path is None:
            raise ActionRefused("The backup has no archive.", "Use another backup.")
        loaded = await load(tools, place.target, path, options, self.report)
        self.checks.append(_judge_load(loaded))
        if loaded.fatal:
            return False
        self.restore_seconds = round(prepared + loaded.seconds, 3)
        return True


def _judge_load(loaded: Loaded) -> Check:
    what = "pg_restore without any error"
    if loaded.fatal:
        environment = all(_ENVIRONMENT.search(message) for message in loaded.fatal)
        verdict = Verdict.COULD_NOT_VERIFY if environment else Verdict.FAIL
        return Check(what, verdict, "; ".join(loaded.fatal[:5]))
    answer = f"restored in {duration(loaded.seconds)}"
    if loaded.harmless:
        answer += f", {len(loaded.harmless)} messages known to be harmless"
    if loaded.mended:
        answer += f", {len(loaded.mended)} entries in a second pass with the search path"
    return Check(what, Verdict.PASS, answer)


def compare_rows(expected: Sequence[TableRows] | None, found: Sequence[TableRows]) -> list[Check]:
    """Rows of every table and materialized view against the manifest's counts."""
    what = "rows of every table"
    if expected is None:
        return [Check(what, Verdict.COULD_NOT_VERIFY, "the manifest has no counts to compare with")]
    counted = [table for table in expected if table.rows is not None]
    if len(counted) < len(expected):
        return [Check(what, Verdict.COULD_NOT_VERIFY, "rows were not counted for this backup")]
    there = {(table.schema, table.name): table.rows for table in found}
    wrong = [
        f"{table.schema}.{table.name} has {there.get((table.schema, table.name), 'no')}"
        f" of {table.rows}"
        for table in counted
        if there.get((table.schema, table.name)) != table.rows
    ]
    if wrong:
        return [Check(what, Verdict.FAIL, ", ".join(wrong[:5]))]
    total = sum(table.rows or 0 for table in counted)
    return [Check(what, Verdict.PASS, f"{count(total)} rows in {len(counted)} tables")]


def compare_objects(
    expected: Sequence[DumpedObject] | None, found: Sequence[DumpedObject]
) -> list[Check]:
    """Every object of the dump's catalog, with its state, against the restored database's."""
    what = "tables, keys, indexes, constraints and all other objects"
    if expected is None:
        return [Check(what, Verdict.COULD_NOT_VERIFY, "the manifest has no list of objects")]
    missing = sorted(set(map(_line, expected)) - set(map(_line, found)))
    extra = sorted(set(map(_line, found)) - set(map(_line, expected)))
    if missing or extra:
        words = [f"{len(missing)} missing ({', '.join(missing[:3])})"] if missing else []
        words += [f"{len(extra)} unexpected ({', '.join(extra[:3])})"] if extra else []
        return [Check(what, Verdict.FAIL, "; ".join(words))]
    return [Check(what, Verdict.PASS, f"{len(expected)} objects, all alike")]


def _line(thing: DumpedObject) -> str:
    return f"{thing.kind} {thing.name} {thing.state}".strip()


def judge_findings(findings: Sequence[Finding]) -> Check:
    """The profile's findings in a restored database as one check."""
    failures = [finding for finding in findings if finding.severity is Severity.FAILURE]
    what = "the profile's checks"
    if failures:
        return Check(what, Verdict.FAIL, "; ".join(map(_told, failures[:3])))
    unknown = [finding for finding in findings if finding.severity is Severity.UNKNOWN]
    if unknown:
        return Check(what, Verdict.COULD_NOT_VERIFY, _told(unknown[0]))
    return Check(what, Verdict.PASS, f"{len(findings)} findings, none a failure")


def _told(finding: Finding) -> str:
    message = finding.message.removesuffix(".")
    return f"{finding.subject}: {message}" if finding.subject else message


async def amcheck(target: Target, search_path: str) -> list[Check]:
    """Compare each B-tree index with its table, where amcheck is installed; [] where it is not."""
    what = "every B-tree index against its table (amcheck)"
    async with connect(target, read_only=False, limits=_PATIENT) as connection:
        state = await queries.fetch_one(connection, EXTENSION_STATE, {"name": "amcheck"})
        schema = state.schema
        if schema is None:
            if not state.is_available:
                return []
            schema = _AMCHECK_SCHEMA
            try:
                await connection.execute(create_schema(schema))
                await connection.execute(create_extension("amcheck", schema))
            except psycopg.errors.InsufficientPrivilege:
                return []
        try:
            # The functions in indexes are called again, and may need it.
            await connection.execute(set_search_path(search_path))
            cursor = await connection.execute(check_indexes(schema))
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.InsufficientPrivilege):
                return []
            return [Check(what, Verdict.FAIL, error.diag.message_primary or str(error))]
        row = await cursor.fetchone()
        return [Check(what, Verdict.PASS, f"{row[0] if row else 0} indexes")]
