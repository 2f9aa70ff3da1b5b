"""Whether a backup and a restore would work here, tried rather than assumed."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import queries
from console.backup import scratch, space
from console.backup.drill import DrillOptions, drill
from console.backup.dump import compression_argument, create_backup
from console.backup.manifest import Tier, Verdict
from console.backup.policy import BackupSettings
from console.backup.snapshot import held_snapshot, require_readable
from console.backup.store import Backup, Store
from console.backup.verify import verify
from console.errors import ConsoleError, PrivilegeMissing
from console.findings import Evidence, Finding, Severity
from console.session import Limits, connect
from console.target import Target
from console.tools import Tools, ToolSettings, find_tools
from console.units import duration, size
from queries.backup import SERVER_ABILITIES
from queries.database import trial_statements

_PATIENT = Limits(statement_ms=60_000, lock_ms=10_000, connect_s=15)
_TRIAL_ROWS = 1000


async def examine(
    target: Target, backups: BackupSettings, tool_settings: ToolSettings
) -> tuple[Finding, ...]:
    """One finding a question; nothing of the target's own is changed.

    A small scratch database is made on the target's server (or on a temporary one, when the role
    may not create databases), backed up, verified, restored, compared and dropped.
    """
    try:
        async with connect(target) as connection:
            major = connection.info.server_version // 10000
    except ConsoleError as error:
        return (
            _from_error("doctor.server", error),
            _directory(backups),
        )
    findings = [_ok("doctor.server", f"{target.label} answers: PostgreSQL {major}.")]
    try:
        tools = await find_tools(major, tool_settings, target=target)
        compression_argument(backups.compression, tools)
    except ConsoleError as error:
        return (*findings, _from_error("doctor.tools", error), _directory(backups))
    findings.append(_tools(tools, major))
    findings.append(_directory(backups))
    findings.append(await _readable(target))
    findings.append(await _round_trip(target, backups, tool_settings, tools))
    return tuple(findings)


def _ok(check: str, message: str, asked: str = "") -> Finding:
    return Finding(check, Severity.OK, "", message, Evidence(asked, message) if asked else None)


def _from_error(check: str, error: ConsoleError) -> Finding:
    return Finding(check, Severity.FAILURE, "", error.message, None, error.hint)


def _tools(tools: Tools, major: int) -> Finding:
    message = f"pg_dump {tools.version} of {tools.place} will be used: {tools.reason}."
    evidence = Evidence("pg_dump --version", tools.version)
    if tools.major == major:
        return Finding("doctor.tools", Severity.OK, "", message, evidence)
    return Finding(
        "doctor.tools",
        Severity.WARNING,
        "",
        message + f" Its archives cannot be read by the tools of PostgreSQL {major}.",
        evidence,
        f"Install postgresql-client-{major}.",
    )


def _directory(backups: BackupSettings) -> Finding:
    """Whether a private file can be made and kept there, and how much room is left."""
    store = Store(backups.directory)
    try:
        directory = store.claim(".doctor")
        with tempfile.NamedTemporaryFile(dir=directory) as file:
            file.write(b"\0" * 4096)
            file.flush()
        free = space.free_bytes(directory)
        directory.rmdir()
    except ConsoleError as error:
        return _from_error("doctor.directory", error)
    except OSError as error:
        return Finding(
            "doctor.directory",
            Severity.FAILURE,
            "",
            f"{backups.directory} cannot be written: {error.strerror}.",
            None,
            "Choose a backup directory that you may write to, on a disk that works.",
        )
    return _ok("doctor.directory", f"{backups.directory} can be written, {size(free)} free.")


async def _readable(target: Target) -> Finding:
    """Whether the role sees every row, as pg_dump must."""
    try:
        async with held_snapshot(target) as (connection, facts):
            require_readable(facts, target.user)
            abilities = await queries.fetch_one(connection, SERVER_ABILITIES)
    except ConsoleError as error:
        return _from_error("doctor.privileges", error)
    secured = [o.name for o in facts.objects if "row security" in o.state]
    forced = [o.name for o in facts.objects if "forced" in o.state]
    hidden = forced if facts.properties.owner == abilities.role else secured
    if hidden and not abilities.bypasses_row_security:
        return Finding(
            "doctor.privileges",
            Severity.WARNING,
            hidden[0],
            f"Row security may hide rows of {len(hidden)} tables, so pg_dump may refuse.",
            None,
            f'ALTER ROLE "{abilities.role}" BYPASSRLS',
        )
    message = f"Role '{abilities.role}' may read all {len(facts.tables)} tables."
    return _ok("doctor.privileges", message, "has_table_privilege of every table")


async def _round_trip(
    target: Target, backups: BackupSettings, tool_settings: ToolSettings, tools: Tools
) -> Finding:
    """A real backup and a real restore of a small database that is made for it."""
    try:
        async with _trial_database(target) as (trial, place):
            backup = await _back_up_and_restore(trial, backups, tool_settings, tools)
    except ConsoleError as error:
        return _from_error("doctor.round-trip", error)
    drilled = backup.drill
    proven = drilled is not None and drilled.verdict is Verdict.PASS
    if backup.verdict is not Verdict.PASS or drilled is None or not proven:
        failing = drilled if drilled is not None and not proven else backup.verification
        reason = failing.reason if failing else "it could not be tried"
        return Finding(
            "doctor.round-trip",
            Severity.FAILURE,
            "",
            f"A trial backup was not restored on {place}: {reason}.",
        )
    message = (
        f"A trial of {_TRIAL_ROWS} rows on {place} was backed up in"
        f" {duration(backup.manifest.seconds if backup.manifest else None)} and restored in"
        f" {duration(drilled.restore_seconds)}, all alike."
    )
    return _ok("doctor.round-trip", message, "backup create, verify and drill")


async def _back_up_and_restore(
    trial: Target, backups: BackupSettings, tool_settings: ToolSettings, tools: Tools
) -> Backup:
    with tempfile.TemporaryDirectory(prefix="medianest-console-doctor-") as directory:
        store = Store(Path(directory))
        settings = replace(backups, directory=Path(directory), keep_free_mb=0)
        backup = await create_backup(trial, store, settings, tools, tier=Tier.MANUAL)
        backup = await verify(store, backup, tool_settings)
        options = DrillOptions(place="server", jobs=settings.jobs)
        return await drill(store, backup, trial, settings, tool_settings, options)


@asynccontextmanager
async def _trial_database(target: Target) -> AsyncIterator[tuple[Target, str]]:
    """A scratch database with a little of everything in it."""
    try:
        async with scratch.beside(target, None, "doctor") as made:
            await _fill(made.target)
            yield made.target, made.place
        return
    except PrivilegeMissing:
        async with connect(target) as connection:
            major = connection.info.server_version // 10000
    async with scratch.on_temporary_server(major, None, (), None) as made:
        await _fill(made.target)
        yield made.target, made.place


async def _fill(trial: Target) -> None:
    async with connect(trial, read_only=False, limits=_PATIENT) as connection:
        for statement in trial_statements(_TRIAL_ROWS):
            await connection.execute(statement)
