"""Room on the disks: how full they are, how quickly that grows, and what the WAL takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path

from console import machine, storage_history
from console.checks import facts
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import alter_system, counted, grouped
from console.findings import Evidence, Finding, Severity
from console.machine import Disk
from console.names import quoted
from console.settings import state_directory
from console.storage_history import Growth, Measured
from console.units import percent, size
from queries.diagnosis import WAL_FILES
from queries.storage import (
    STORAGE_IDENTITY,
    TABLE_SIZES,
    TABLESPACES,
    TEMPORARY_FILES,
    StorageIdentity,
    Tablespace,
)

DISKS = "storage.disks"
GROWTH = "storage.growth"
WAL = "storage.wal"
SPACES = "storage.tablespaces"
TEMPORARY = "storage.temporary-files"

FULL = 0.8
"""Share of a disk from which on it warns."""
ALMOST_FULL = 0.95
_FILLS_SOON_DAYS = 30
_TABLES_REMEMBERED = 50
_TEMPORARY_PER_DAY = 10 << 30


async def _identity(examination: Examination) -> StorageIdentity:
    session = examination.session
    return await examination.once("storage", lambda: session.fetch_one(STORAGE_IDENTITY))


async def _tablespaces(examination: Examination) -> list[Tablespace]:
    session = examination.session
    return await examination.once("tablespaces", lambda: session.fetch(TABLESPACES))


async def _is_here(examination: Examination) -> bool:
    return machine.runs_here((await _identity(examination)).backend_pid)


async def disks(examination: Examination) -> Outcome:
    """How full the file systems of the data, the WAL, the tablespaces and the backups are."""
    places, blind = await _places(examination)
    seen = {name: await asyncio.to_thread(machine.disk_of, path) for name, path in places.items()}
    known = {name: disk for name, disk in seen.items() if disk is not None}
    blind += [name for name, disk in seen.items() if disk is None]
    findings = disk_findings(known)
    if blind:
        what = ", ".join(blind)
        findings.append(
            unknown(
                DISKS,
                what,
                f"How full the disk of {what} is cannot be seen from here.",
                "-- run the check on the server's own machine as an account that may look there"
                f"; pg_read_all_settings tells the paths to {quoted(examination.role)}",
            )
        )
    by_mount = {disk.mount: disk for disk in known.values()}
    summary = "; ".join(
        f"{mount} {percent(disk.used_share)} used, {size(disk.free)} free"
        for mount, disk in by_mount.items()
    )
    return Outcome(summary or "not visible", tuple(findings))


async def _places(examination: Examination) -> tuple[dict[str, Path], list[str]]:
    """Directories to look at by what they hold, and what cannot be looked at."""
    places: dict[str, Path] = {}
    blind: list[str] = []
    if await _is_here(examination):
        found = await facts.parameters(examination)
        data = found.text("data_directory")
        if data is None:
            blind.append("the data directory")
        else:
            places["the data directory"] = Path(data)
            places["the WAL"] = Path(data) / "pg_wal"
        for space in await _tablespaces(examination):
            places[f"tablespace {space.name}"] = Path(space.path)
    else:
        blind.append("the server")
    if examination.backups is not None:
        places["the backups"] = _nearest(examination.backups)
    return places, blind


def _nearest(directory: Path) -> Path:
    """The directory, or while it was not made yet the one it will be made in."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return directory


def disk_findings(disks: dict[str, Disk]) -> list[Finding]:
    """Those that are 80 % full warn, and at 95 % fail; each file system once."""
    findings = []
    for mount in dict.fromkeys(disk.mount for disk in disks.values()):
        names = [name for name, disk in disks.items() if disk.mount == mount]
        disk = disks[names[0]]
        if disk.used_share < FULL:
            continue
        severity = Severity.FAILURE if disk.used_share >= ALMOST_FULL else Severity.WARNING
        findings.append(
            Finding(
                DISKS,
                severity,
                mount,
                f"The disk of {' and '.join(names)} is {percent(disk.used_share)} full;"
                f" {size(disk.free)} are left.",
                Evidence(
                    f"statvfs {mount}",
                    f"{size(disk.total)} in all, {size(disk.free)} free",
                ),
                "-- free room, or enlarge the disk: a full disk stops the server",
            )
        )
    return findings


async def growth(examination: Examination) -> Outcome:
    """Growth a day between the sizes that earlier checks wrote down, and when the disk fills."""
    identity = await _identity(examination)
    free = await _free(examination)
    sizes = await examination.session.fetch(TABLE_SIZES, {"count": _TABLES_REMEMBERED})
    now = Measured(
        identity.at.astimezone(UTC),
        identity.bytes,
        free,
        {table.name: table.bytes for table in sizes},
    )
    path = history_path(identity)
    history = await asyncio.to_thread(storage_history.read_history, path)
    await asyncio.to_thread(storage_history.remember, path, history, now)
    grown = storage_history.growth([*history, now])
    largest = f"; largest {sizes[0].name} {size(sizes[0].bytes)}" if sizes else ""
    if grown is None:
        return Outcome(f"{size(now.bytes)}{largest}; growth is known after a day")
    per_day = f"{'+' if grown.bytes_per_day >= 0 else ''}{size(int(grown.bytes_per_day))} a day"
    summary = f"{size(now.bytes)}, {per_day} over {grown.days:.0f} days{largest}"
    return Outcome(summary, tuple(growth_findings(grown, now)))


def history_path(identity: StorageIdentity) -> Path:
    name = f"{identity.cluster}-{identity.database_oid}.jsonl"
    return state_directory() / "storage" / name


async def _free(examination: Examination) -> int | None:
    if not await _is_here(examination):
        return None
    directory = (await facts.parameters(examination)).text("data_directory")
    if directory is None:
        return None
    disk = await asyncio.to_thread(machine.disk_of, Path(directory))
    return None if disk is None else disk.free


def growth_findings(grown: Growth, now: Measured) -> Iterable[Finding]:
    """A warning when the disk will be full within a month at this pace."""
    if now.free is None:
        return
    at = grown.fills_at(now.at, now.free)
    if at is None or (at - now.at).days >= _FILLS_SOON_DAYS:
        return
    tables = ", ".join(
        f"{name} +{size(int(amount))} a day" for name, amount in grown.tables[:5] if amount > 0
    )
    yield Finding(
        GROWTH,
        Severity.WARNING,
        "",
        f"At this pace the disk is full on {at:%Y-%m-%d}.",
        Evidence(
            f"sizes written down by this console over {grown.days:.0f} days",
            f"{size(int(grown.bytes_per_day))} a day, {size(now.free)} free; {tables or 'tables'}",
        ),
        "-- delete or move what is not needed, or enlarge the disk",
    )


async def wal(examination: Examination) -> Outcome:
    """The size of pg_wal against what the settings let it have."""
    files = await examination.session.fetch_one(WAL_FILES)
    found = await facts.parameters(examination)
    allowed = (found.bytes("max_wal_size") or 0) + max(found.bytes("wal_keep_size") or 0, 0)
    summary = f"{size(files.bytes)} in {counted(files.files, 'file')}, max_wal_size {size(allowed)}"
    if files.bytes <= max(2 * allowed, 1 << 30):
        return Outcome(summary)
    finding = Finding(
        WAL,
        Severity.WARNING,
        "pg_wal",
        "The WAL is more than twice what its settings let it have: a replication slot, a failing"
        " archive_command or a stuck checkpoint holds it.",
        Evidence(
            "pg_ls_waldir(); max_wal_size + wal_keep_size",
            f"{size(files.bytes)}; {size(allowed)}",
        ),
        "SELECT slot_name, active, restart_lsn FROM pg_replication_slots;\n"
        "SELECT failed_count, last_failed_wal FROM pg_stat_archiver;",
    )
    return Outcome(summary, (finding,))


async def tablespaces(examination: Examination) -> Outcome:
    """Tablespaces inside the data directory, where base backups trip over them."""
    spaces = await _tablespaces(examination)
    found = await facts.parameters(examination)
    data = found.text("data_directory")
    summary = counted(len(spaces), "tablespace") + " besides the data directory"
    inside = [s for s in spaces if data and Path(s.path).is_relative_to(data)]
    if not inside:
        return Outcome(summary)
    finding = grouped(
        SPACES,
        Severity.WARNING,
        [f"{space.name} at {space.path or 'the data directory'}" for space in inside],
        f"{counted(len(inside), 'tablespace lies', 'tablespaces lie')} inside the data directory;"
        " base backups and upgrades trip over that.",
        "pg_tablespace_location()",
        (f"-- ALTER TABLE ... SET TABLESPACE pg_default; then DROP TABLESPACE {quoted(s.name)};"
         for s in inside),
    )  # fmt: skip
    return Outcome(summary, (finding,))


async def temporary_files(examination: Examination) -> Outcome:
    """What sorts and hashes write to disk, and whether anything bounds it."""
    found = await facts.parameters(examination)
    seen = await examination.session.fetch_one(TEMPORARY_FILES)
    days = max((seen.at - seen.since).total_seconds() / 86400, 1)
    summary = f"{size(seen.bytes)} in {counted(seen.files, 'file')} since {seen.since:%Y-%m-%d}"
    if seen.bytes / days < _TEMPORARY_PER_DAY:
        return Outcome(summary)
    finding = Finding(
        TEMPORARY,
        Severity.WARNING,
        "",
        f"Statements write {size(int(seen.bytes / days))} of temporary files a day.",
        Evidence(
            "pg_stat_database: temp_files, temp_bytes, stats_reset",
            f"{summary}; {found.shown('work_mem')}; {found.shown('temp_file_limit')}",
        ),
        alter_system(found, "log_temp_files", "10MB", "names the statements")
        + "\n"
        + alter_system(found, "work_mem", "16MB", "or more, for those statements only"),
    )
    return Outcome(summary, (finding,))


CHECKS = (
    Check(DISKS, "Disks", "No disk is 80 % full.", disks, cis="1.4",
          privileges="pg_read_all_settings, on the server's machine"),
    Check(GROWTH, "Growth", "The disk lasts for more than a month at the present pace.", growth),
    Check(WAL, "WAL on disk", "The WAL takes what its settings let it have.", wal,
          privileges="pg_monitor"),
    Check(SPACES, "Tablespaces", "Tablespaces lie outside the data directory.", tablespaces,
          cis="1.9"),
    Check(TEMPORARY, "Temporary files", "Statements seldom sort on disk.", temporary_files),
)  # fmt: skip
