"""Setting up: what the server must allow, the archive's directory, and the replication slot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import queries
from console.errors import ActionRefused, CommandFailed
from console.findings import Finding, Severity
from console.pitr import archive as archives
from console.pitr.archive import Archive, ArchiveInfo
from console.pitr.policy import PitrSettings
from console.pitr.tooling import tools_for
from console.process import output_of
from console.session import Connection, Limits, connect
from console.settings import Settings
from console.target import Target
from console.units import size
from queries.pitr import (
    WAL_SAMPLE,
    WAL_SERVER,
    WalSample,
    WalServer,
    create_physical_slot,
    drop_slot,
    limit_slots,
    reload_settings,
)

_RELOAD_LOOKS = 50

PATIENT = Limits(statement_ms=60_000, lock_ms=10_000, connect_s=15)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether WAL of this server can be kept, and what stands in the way."""

    server: WalServer
    findings: tuple[Finding, ...]

    def require(self) -> None:
        """Raises ActionRefused with the first thing that stands in the way."""
        for finding in self.findings:
            if finding.severity is Severity.FAILURE:
                raise ActionRefused(finding.message, finding.fix)


async def read_server(target: Target) -> WalServer:
    async with connect(target) as connection:
        return await queries.fetch_one(connection, WAL_SERVER)


async def look(target: Target, settings: Settings) -> Readiness:
    """Ask everything that keeping WAL depends on; changes nothing. Raises ConsoleError kinds."""
    server = await read_server(target)
    findings = list(_about_server(server, settings.pitr.archives.get(target.name)))
    if settings.pitr.archives.get(target.name) is None and server.may_replicate:
        findings += await _about_replication(target, server, settings)
    return Readiness(server, tuple(findings))


def _about_server(server: WalServer, source: Path | None) -> Sequence[Finding]:
    found = []
    if server.in_recovery:
        found.append(_failure("server", "This server is a standby.", "Name the primary instead."))
    if server.wal_level == "minimal":
        found.append(
            _failure(
                "wal_level",
                "wal_level is minimal: the WAL does not hold everything.",
                "ALTER SYSTEM SET wal_level = 'replica', then restart the server.",
            )
        )
    if source is None and server.max_wal_senders < 3:
        found.append(
            _failure(
                "max_wal_senders",
                f"max_wal_senders is {server.max_wal_senders}; the receiver and a base backup"
                " take three.",
                "ALTER SYSTEM SET max_wal_senders = 10, then restart the server.",
            )
        )
    if source is None and server.max_replication_slots < 1:
        found.append(
            _failure(
                "max_replication_slots",
                "The server allows no replication slot.",
                "ALTER SYSTEM SET max_replication_slots = 10, then restart the server.",
            )
        )
    if not server.may_replicate:
        found.append(
            _failure(
                "role",
                f"Role '{server.role}' may not replicate.",
                f'ALTER ROLE "{server.role}" REPLICATION',
            )
        )
    if source is None and server.slot_limit_mb == -1:
        found.append(unlimited_slot())
    if not server.has_checksums:
        found.append(
            Finding(
                "pitr.checksums",
                Severity.INFO,
                "data_checksums",
                "Pages have no checksums: damage on the disk is found by amcheck alone.",
            )
        )
    return found


def _failure(subject: str, message: str, fix: str) -> Finding:
    return Finding(f"pitr.{subject.replace('_', '-')}", Severity.FAILURE, subject, message, fix=fix)


def unlimited_slot() -> Finding:
    return Finding(
        "pitr.slot-limit",
        Severity.WARNING,
        "max_slot_wal_keep_size",
        "A stopped receiver lets WAL fill the server's disk: slots are without limit.",
        fix="medianest-console pitr setup --slot-limit 10GB",
    )


async def _about_replication(
    target: Target, server: WalServer, settings: Settings
) -> Sequence[Finding]:
    """Whether pg_hba.conf lets a replication connection in: it is asked for as such."""
    major = server.server_version_number // 10000
    tools = await tools_for(major, settings, target)
    with tools.command(
        target, "psql", "--no-psqlrc", "--no-password", "--tuples-only", "-c", "IDENTIFY_SYSTEM",
        "replication=true",
    ) as command:  # fmt: skip
        finished, _ = await output_of(command)
    if finished.returncode == 0:
        return ()
    return (
        _failure(
            "pg_hba.conf",
            f"The server refuses a replication connection: {finished.complaint}.",
            f"Add to pg_hba.conf: host replication {server.role} ADDRESS scram-sha-256",
        ),
    )


async def set_up(
    target: Target,
    settings: Settings,
    *,
    slot_limit_mb: int | None = None,
    new_archive: bool = False,
) -> tuple[Archive, tuple[Finding, ...]]:
    """Make the archive and its slot, or find them as they are; and what remains to be said.

    Raises ActionRefused when the server cannot, or the archive is of another server and
    `new_archive` does not put it aside.
    """
    readiness = await look(target, settings)
    readiness.require()
    server = readiness.server
    if slot_limit_mb is not None:
        await _limit_slots(target, slot_limit_mb)
        readiness = await look(target, settings)
    archive = await asyncio.to_thread(_open, target, settings.pitr, server, new_archive)
    if archive.info.slot:
        await ensure_slot(target, archive.info.slot)
    return archive, readiness.findings


def _open(target: Target, settings: PitrSettings, server: WalServer, new_archive: bool) -> Archive:
    known = archives.find(settings, target.name)
    source = settings.archives.get(target.name)
    if known is not None and not new_archive:
        require_same(known, server)
        if known.info.source == str(source or ""):
            return known
        raise ActionRefused(
            "The archive that is kept here is not the one that the settings name now.",
            "`pitr setup --new-archive` puts it aside and begins another.",
        )
    if known is not None:
        archives.put_aside(known)
    if source is not None and not source.is_dir():
        raise ActionRefused(
            f"There is no WAL archive in {source}.", "Correct `pitr.archives` in the settings."
        )
    info = ArchiveInfo(
        target=target.name,
        system_identifier=int(server.system_identifier),
        server_version=server.server_version,
        server_version_number=server.server_version_number,
        segment_bytes=server.segment_bytes,
        slot="" if source else settings.slot,
        superuser=server.superuser,
        database=target.dbname,
        created_at=datetime.now(UTC),
        source=str(source or ""),
    )
    return archives.create(settings, info)


def require_same(archive: Archive, server: WalServer) -> None:
    """Raises ActionRefused when the archive is of another server."""
    if archive.info.system_identifier != int(server.system_identifier):
        raise ActionRefused(
            "The archive is of another server: the system identifiers differ.",
            "`pitr setup --new-archive` puts it aside and begins another.",
        )
    if archive.info.major != server.server_version_number // 10000:
        raise ActionRefused(
            f"The archive is of PostgreSQL {archive.info.major}; this server is"
            f" {server.server_version_number // 10000}.",
            "`pitr setup --new-archive` puts it aside and begins another.",
        )


async def _limit_slots(target: Target, megabytes: int) -> None:
    async with connect(target, read_only=False, limits=PATIENT) as connection:
        await connection.execute(limit_slots(megabytes))
        await connection.execute(reload_settings())
    for _ in range(_RELOAD_LOOKS):
        if (await read_server(target)).slot_limit_mb == megabytes:
            return
        await asyncio.sleep(0.1)
    raise CommandFailed(
        "The server has not taken the new max_slot_wal_keep_size.",
        "See whether its command line or a file sets it (pg_file_settings).",
    )


async def ensure_slot(target: Target, slot: str) -> None:
    """Create the slot unless it is there and usable. Raises ConsoleError kinds."""
    async with connect(target, read_only=False, limits=PATIENT) as connection:
        sample = await read_sample(connection, slot)
        if sample.slot_exists and sample.wal_status != "lost":
            return
        if sample.slot_exists:
            await connection.execute(drop_slot(slot))
        await connection.execute(create_physical_slot(slot))


async def remove_slot(target: Target, slot: str) -> bool:
    """Drop the slot, so that the server keeps nothing for it; whether there was one."""
    async with connect(target, read_only=False, limits=PATIENT) as connection:
        sample = await read_sample(connection, slot)
        if sample.slot_exists:
            await connection.execute(drop_slot(slot))
        return sample.slot_exists


async def read_sample(connection: Connection, slot: str) -> WalSample:
    return await queries.fetch_one(connection, WAL_SAMPLE, {"slot": slot})


_SIZE = re.compile(r"(\d+) ?(MB|GB|TB)", re.IGNORECASE)
_MEGABYTES = {"MB": 1, "GB": 1024, "TB": 1024 * 1024}


def megabytes(text: str) -> int:
    """'10GB' as megabytes. Raises CommandFailed."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise CommandFailed(f"'{text}' is no size.", "Write it as 512MB, 10GB or 1TB.")
    return int(match[1]) * _MEGABYTES[match[2].upper()]


def slot_words(sample: WalSample) -> Finding:
    """How the slot stands, before it is lost or the server's disk is full."""
    kept = size(sample.retained_bytes)
    limit = (
        "without limit" if sample.slot_limit_mb < 0 else f"of {size(sample.slot_limit_mb << 20)}"
    )
    if not sample.slot_exists:
        return _slot(Severity.FAILURE, "The slot is gone: the server keeps no WAL for the archive.")
    if sample.wal_status == "lost":
        return _slot(Severity.FAILURE, "The slot is lost: the server has removed WAL it stood for.")
    if sample.wal_status == "unreserved":
        return _slot(
            Severity.FAILURE, "The slot is over its limit: the next checkpoint may remove its WAL."
        )
    half = sample.slot_limit_mb > 0 and (sample.retained_bytes or 0) > sample.slot_limit_mb << 19
    if half:
        return _slot(Severity.WARNING, f"The server keeps {kept} for the slot, over half {limit}.")
    if sample.slot_limit_mb < 0 and (sample.retained_bytes or 0) > 1 << 30:
        return _slot(
            Severity.WARNING, f"The server keeps {kept} for the slot, {limit}: its disk may fill."
        )
    return _slot(Severity.OK, f"The server keeps {kept} for the slot, {limit}.")


def _slot(severity: Severity, message: str) -> Finding:
    fix = "" if severity is Severity.OK else "medianest-console pitr receive"
    return Finding("pitr.slot", severity, "slot", message, fix=fix)
