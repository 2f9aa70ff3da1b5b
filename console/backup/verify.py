"""Prove a backup without restoring it: hashes, a full read, and what was counted when it was made.

Three verdicts: what could not be asked is never a pass.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from console.backup.archive import (
    Opened,
    SqlReader,
    identify,
    read_contents,
    read_fully,
    read_plain,
    require_readable_format,
    sha256_of,
)
from console.backup.derive import row_differences
from console.backup.manifest import (
    BackupFile,
    Check,
    FileKind,
    Manifest,
    TableRows,
    Verdict,
    proof,
    read_objects,
)
from console.backup.store import Backup, Store
from console.errors import ActionRefused, ConsoleError
from console.process import first_error
from console.tools import Tools, ToolSettings, find_tools, oldest_reader
from console.units import count, size

Report = Callable[[str], None]


def _silent(text: str) -> None:
    """A report that nobody reads."""


async def verify(
    store: Store, backup: Backup, settings: ToolSettings, report: Report = _silent
) -> Backup:
    """Verify a backup and record the result; the backup as it is then.

    Raises CommandFailed when the result cannot be written down.
    """
    began = time.monotonic()
    checks = await examine(backup, settings, report)
    found = proof("verify", checks, time.monotonic() - began)
    if backup.manifest is None:
        # There is nothing whose record it could be; being damaged is told by the store itself.
        return backup
    return await asyncio.to_thread(
        store.change_record, backup, lambda record: record.with_proof(found)
    )


async def examine(
    backup: Backup, settings: ToolSettings, report: Report = _silent
) -> tuple[Check, ...]:
    """Everything that can be said about a backup's files, in the order it is asked."""
    manifest = backup.manifest
    if manifest is None:
        return (Check("manifest", Verdict.FAIL, backup.problem),)
    report("reading every file")
    hashing = asyncio.to_thread(_hash_checks, backup.path, manifest)
    try:
        async with asyncio.TaskGroup() as tasks:
            hashed = tasks.create_task(hashing)
            read = tasks.create_task(_archive_checks(backup, manifest, settings))
            derived = tasks.create_task(asyncio.to_thread(_derived_checks, backup.path, manifest))
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    return (*hashed.result(), *read.result(), *derived.result())


def _hash_checks(directory: Path, manifest: Manifest) -> list[Check]:
    if not manifest.files:
        return [Check("files", Verdict.FAIL, "the manifest names none")]
    damaged = [problem for file in manifest.files if (problem := _damage(directory, file))]
    if damaged:
        return [Check("SHA-256 of each file", Verdict.FAIL, "; ".join(damaged))]
    answer = f"{len(manifest.files)} files, {size(manifest.bytes)}, as written"
    return [Check("SHA-256 of each file", Verdict.PASS, answer)]


def _damage(directory: Path, file: BackupFile) -> str:
    path = directory / file.name
    try:
        length = path.stat().st_size
        if length != file.bytes:
            return f"{file.name} has {length} bytes instead of {file.bytes}"
        return "" if sha256_of(path) == file.sha256 else f"{file.name} has other content"
    except FileNotFoundError:
        return f"{file.name} is missing"
    except OSError as error:
        return f"{file.name} cannot be read: {error.strerror}"


async def _archive_checks(
    backup: Backup, manifest: Manifest, settings: ToolSettings
) -> list[Check]:
    archive, path = manifest.archive, backup.archive_path
    if archive is None or path is None:
        return [Check("archive", Verdict.FAIL, "the manifest names none")]
    if archive.kind is FileKind.PLAIN:
        return []
    try:
        opened = identify(path)
    except (ConsoleError, OSError) as error:
        return [Check("archive", Verdict.FAIL, _words(error))]
    if opened.kind is not archive.kind:
        return [Check("archive", Verdict.FAIL, f"it is {opened.kind}, not {archive.kind}")]
    try:
        tools = await tools_for(manifest, settings, opened)
        require_readable_format(tools, opened, archive.name)
    except ConsoleError as error:
        return [Check("full read of the archive", Verdict.COULD_NOT_VERIFY, error.message)]
    return await archive_checks(tools, path, manifest)


async def tools_for(manifest: Manifest, settings: ToolSettings, opened: Opened) -> Tools:
    """Tools that read the backup's archive. Raises ActionRefused when there are none."""
    made_by = manifest.tools_version.partition(".")[0]
    major = int(made_by) if made_by.isdigit() else manifest.server_major
    major = max(major, oldest_reader(opened.format_version))
    return await find_tools(major, settings, programs=("pg_dump", "pg_restore"))


async def archive_checks(tools: Tools, path: Path, manifest: Manifest) -> list[Check]:
    """List and fully read an archive, at the same time, and compare both with the manifest."""
    try:
        async with asyncio.TaskGroup() as tasks:
            listing = tasks.create_task(read_contents(tools, path))
            reading = tasks.create_task(_read_checks(tools, path, manifest))
    except BaseExceptionGroup as group:
        error = first_error(group)
        if isinstance(error, ActionRefused):
            return [Check("table of contents", Verdict.COULD_NOT_VERIFY, error.message)]
        if isinstance(error, ConsoleError):
            return [Check("table of contents", Verdict.FAIL, error.message)]
        raise error from None
    entries = len(listing.result().entries)
    listed = entries == manifest.toc_entries and (entries > 0 or manifest.tables == ())
    answer = f"{entries} entries" + ("" if listed else f" instead of {manifest.toc_entries}")
    verdict = Verdict.PASS if listed else Verdict.FAIL
    return [Check("table of contents", verdict, answer), *reading.result()]


async def _read_checks(tools: Tools, path: Path, manifest: Manifest) -> list[Check]:
    reader = SqlReader()
    finished = await read_fully(tools, path, reader.consume)
    if finished.returncode != 0 or finished.lines:
        return [Check("full read of the archive", Verdict.FAIL, finished.complaint)]
    if reader.problem:
        return [Check("full read of the archive", Verdict.FAIL, reader.problem)]
    whole = f"{size(reader.length)} of SQL, complete"
    return [
        Check("full read of the archive", Verdict.PASS, whole),
        *row_checks("archive", manifest.tables, reader.rows),
    ]


def row_checks(
    name: str, tables: tuple[TableRows, ...] | None, found: dict[tuple[str, str], int]
) -> list[Check]:
    """Whether a dump holds exactly the rows counted in its snapshot."""
    what = f"rows in the {name} against the snapshot's"
    if tables is None:
        return []
    difference = row_differences(tables, found)
    if difference:
        return [Check(what, Verdict.FAIL, difference)]
    counted = [table for table in tables if table.kind == "r" and table.rows is not None]
    if not counted:
        return []
    rows = sum(table.rows or 0 for table in counted)
    return [Check(what, Verdict.PASS, f"{count(rows)} rows in {len(counted)} tables")]


def _derived_checks(directory: Path, manifest: Manifest) -> list[Check]:
    checks = []
    for file in manifest.files:
        if file.kind in (FileKind.PLAIN, FileKind.SCHEMA):
            checks += _plain_checks(directory, file, manifest)
        if file.kind is FileKind.OBJECTS:
            try:
                read_objects(directory)
            except (OSError, ValueError) as error:
                checks.append(Check(file.name, Verdict.FAIL, _words(error)))
    return checks


def _plain_checks(directory: Path, file: BackupFile, manifest: Manifest) -> list[Check]:
    path = directory / file.name
    try:
        reader, problem = read_plain(path, gzipped=identify(path).gzipped)
    except (ConsoleError, OSError) as error:
        return [Check(file.name, Verdict.FAIL, _words(error))]
    if problem:
        return [Check(file.name, Verdict.FAIL, problem)]
    checks = [Check(file.name, Verdict.PASS, f"{size(reader.length)} of SQL, complete")]
    if file.kind is FileKind.PLAIN:
        checks += row_checks(file.name, manifest.tables, reader.rows)
    return checks


def _words(error: Exception) -> str:
    if isinstance(error, ConsoleError):
        return error.message
    return getattr(error, "strerror", None) or str(error)
