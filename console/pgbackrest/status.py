"""How a target's stanza is, held against the server that it backs up: findings, and their worst."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import queries
from console.backup.history import STALE
from console.backup.manifest import Verdict
from console.errors import ConsoleError
from console.findings import Evidence, Finding, Severity
from console.pgbackrest.backrest import Backrest, require
from console.pgbackrest.info import (
    MISSING_DATA,
    MISSING_PATH,
    MIXED,
    NO_BACKUP,
    OK,
    Backup,
    Stanza,
    read_stanza,
)
from console.pgbackrest.proofs import Proofs, read_proofs
from console.pitr.names import lsn, segment_of
from console.session import Limits, connect
from console.settings import Settings
from console.target import Target
from console.units import age, counted, duration, size
from queries.pgbackrest import WAL_ARCHIVING, WalArchiving

_BEHIND_SEGMENTS = 8
"""Finished segments that may wait for the archiver; a busy server always has some."""

_LIMITS = Limits(statement_ms=10_000, lock_ms=1_000, connect_s=10)
_BACK_UP = "medianest-console pgbackrest backup"


@dataclass(frozen=True, slots=True)
class Status:
    """As of `at`."""

    at: datetime
    target: str
    stanza: Stanza
    server: WalArchiving | None
    """None when it did not answer."""
    proofs: Proofs
    findings: tuple[Finding, ...]
    """Worst first."""

    @property
    def behind(self) -> int | None:
        """Finished segments that are not in the archive; None when that cannot be told."""
        return segments_behind(self.stanza, self.server)


async def ask_status(target: Target, settings: Settings) -> Status:
    """Ask pgBackRest and the server, both at once.

    Raises SettingsError when settings name no stanza, CommandFailed when pgBackRest fails.
    """
    backrest = require(settings, target.name)
    reading = asyncio.ensure_future(read_stanza(backrest))
    server, problem = None, ""
    try:
        try:
            async with connect(target, limits=_LIMITS) as connection:
                server = await queries.fetch_one(connection, WAL_ARCHIVING)
        except ConsoleError as error:
            problem = error.message
        stanza = await reading
    finally:
        reading.cancel()
    proofs = await asyncio.to_thread(read_proofs, target.name, stanza)
    now = datetime.now(UTC)
    findings = judge(backrest, stanza, server, proofs, now, problem)
    return Status(now, target.name, stanza, server, proofs, findings)


def judge(
    backrest: Backrest,
    stanza: Stanza,
    server: WalArchiving | None,
    proofs: Proofs,
    now: datetime,
    problem: str = "",
) -> tuple[Finding, ...]:
    """The findings, worst first; without `server` none is about its archiving.

    `problem` says why a server that was asked did not answer.
    """
    found = _about_stanza(backrest, stanza)
    if stanza.backups:
        found += _about_backups(stanza, now) + _about_proof(stanza, proofs, now)
    if stanza.clusters and server is not None:
        found += _about_server(stanza, server)
    elif problem:
        found.append(_unasked(problem))
    return tuple(sorted(found, key=lambda finding: finding.severity.rank))


def segments_behind(stanza: Stanza, server: WalArchiving | None) -> int | None:
    """Finished segments of the server that some repository does not hold yet; None when unknown."""
    if server is None or server.lsn is None or not stanza.wal_ends:
        return None
    try:
        ends = [segment_of(name, server.segment_bytes).number for name in stanza.wal_ends.values()]
    except ValueError:
        return None  # names of another segment size than the server's
    return max(0, lsn(server.lsn) // server.segment_bytes - min(ends) - 1)


def _finding(
    name: str, severity: Severity, message: str, fix: str = "", answer: str = ""
) -> Finding:
    evidence = Evidence("pgbackrest info --output=json", answer or message)
    return Finding(f"pgbackrest.{name}", severity, "", message, evidence, fix)


def _about_stanza(backrest: Backrest, stanza: Stanza) -> list[Finding]:
    name, answer = stanza.name, f"{stanza.code}: {stanza.message}"
    troubled = [r for r in stanza.repositories if r.code != OK]
    if stanza.code == OK:
        return []
    if stanza.code in (MISSING_PATH, MISSING_DATA):
        message = f"The repository knows no stanza {name} ({stanza.message})."
        fix = backrest.by_hand("stanza-create")
        return [_finding("stanza", Severity.FAILURE, message, fix, answer)]
    if stanza.code == NO_BACKUP:
        message = f"The stanza {name} holds no backup."
        return [_finding("stanza", Severity.FAILURE, message, f"{_BACK_UP} --type full", answer)]
    if stanza.code == MIXED:
        return [
            _finding("stanza", Severity.FAILURE, f"Repository {r.key}: {r.message}.", "", answer)
            for r in troubled
        ]
    words = "; ".join(r.message for r in troubled) or stanza.message
    fix = "Let it run as the account that owns the repository: see docs/pgbackrest.md."
    message = f"The stanza {name} cannot be read: {words}."
    return [_finding("stanza", Severity.UNKNOWN, message, fix, answer)]


def _about_backups(stanza: Stanza, now: datetime) -> list[Finding]:
    newest, full = stanza.backups[0], stanza.newest("full")
    old = now - newest.stopped_at > STALE
    since_full = f", the last full one {age(full.stopped_at, now)}" if full else ""
    found = [
        _finding(
            "newest",
            Severity.WARNING if old else Severity.OK,
            f"The newest backup ({newest.kind}) was made {age(newest.stopped_at, now)}"
            f"{since_full if newest.kind != 'full' else ''}.",
            f"{_BACK_UP} --type diff" if old else "",
            newest.label,
        )
    ]
    damaged = [backup for backup in stanza.backups if backup.page_errors]
    if damaged:
        found.append(_page_errors(damaged))
    if stanza.busy:
        far = f", {stanza.fraction:.0%} copied" if stanza.fraction is not None else ""
        message = f"A backup or an expire runs now{far}."
        found.append(_finding("running", Severity.INFO, message))
    return found


def _page_errors(damaged: list[Backup]) -> Finding:
    labels = ", ".join(backup.label for backup in damaged[:3])
    return _finding(
        "pages",
        Severity.FAILURE,
        f"Pages of the live data failed their checksums while {labels} was copied.",
        f"`pgbackrest info --set={damaged[0].label}` names the files; keep every older backup.",
        f"error: true in {counted(len(damaged), 'backup')}",
    )


def _about_proof(stanza: Stanza, proofs: Proofs, now: datetime) -> list[Finding]:
    return [*_damaged(stanza, proofs), _verified(stanza, proofs, now), _drilled(proofs, now)]


def _damaged(stanza: Stanza, proofs: Proofs) -> list[Finding]:
    return [
        _finding(
            "damaged",
            Severity.FAILURE,
            f"The backup {backup.label} is damaged: {proofs.verified[backup.label].reason}.",
            f"{_BACK_UP} --type full",
        )
        for backup in stanza.backups
        if _verdict(proofs, backup) is Verdict.FAIL
    ]


def _verified(stanza: Stanza, proofs: Proofs, now: datetime) -> Finding:
    fix = "medianest-console pgbackrest verify"
    good = next((b for b in stanza.backups if _verdict(proofs, b) is Verdict.PASS), None)
    if good is None:
        message = "No backup was verified from here."
        return _finding("verified", Severity.WARNING, message, fix)
    when = age(proofs.verified[good.label].at, now)
    which = "The newest backup" if good == stanza.backups[0] else f"The backup {good.label}"
    message = f"{which}, made {age(good.stopped_at, now)}, was verified {when}."
    stale = now - good.stopped_at > STALE
    severity = Severity.WARNING if stale else Severity.OK
    return _finding("verified", severity, message, fix if stale else "")


def _drilled(proofs: Proofs, now: datetime) -> Finding:
    newest = max(proofs.drilled.values(), key=lambda found: found.at, default=None)
    if newest is None:
        fix = "medianest-console pgbackrest restore --into DIRECTORY"
        return _finding("drill", Severity.INFO, "No backup was restored from here yet.", fix)
    took = duration(newest.restore_seconds)
    message = f"A backup was restored beside {age(newest.at, now)}, readable after {took}."
    return _finding("drill", Severity.OK, message)


def _verdict(proofs: Proofs, backup: Backup) -> Verdict:
    found = proofs.verified.get(backup.label)
    return found.verdict if found else Verdict.COULD_NOT_VERIFY


def _unasked(problem: str) -> Finding:
    message = f"Whether the archive keeps up is not known: {problem.rstrip('.')}."
    return _finding("wal", Severity.UNKNOWN, message)


def _about_server(stanza: Stanza, server: WalArchiving) -> list[Finding]:
    cluster = stanza.cluster
    if cluster is not None and cluster.system_identifier != server.system_identifier:
        return [
            _finding(
                "cluster",
                Severity.FAILURE,
                f"The stanza {stanza.name} is of another cluster than this server.",
                "Name the right stanza in settings; after an upgrade: pgbackrest stanza-upgrade",
                f"{cluster.system_identifier}; the server's is {server.system_identifier}",
            )
        ]
    if server.archive_mode == "off":
        fix = "ALTER SYSTEM SET archive_mode = on; then restart the server"
        message = "The server archives no WAL: archive_mode is off."
        return [_finding("wal", Severity.FAILURE, message, fix, "archive_mode off")]
    if _fails(server):
        fix = "medianest-console pgbackrest check, and the server's log, say why."
        message = (
            f"archive_command fails, last {age(server.last_failed, server.at)}"
            f" at {server.last_failed_wal}: WAL piles up on the server."
        )
        return [_finding("wal", Severity.FAILURE, message, fix, "pg_stat_archiver")]
    return [_keeping_up(stanza, server)]


def _fails(server: WalArchiving) -> bool:
    if server.last_failed is None:
        return False
    return server.last_archived is None or server.last_failed > server.last_archived


def _keeping_up(stanza: Stanza, server: WalArchiving) -> Finding:
    behind = segments_behind(stanza, server)
    if behind is None:
        message = "No WAL of this cluster is in the archive yet."
        fix = "medianest-console pgbackrest check"
        return _finding("wal", Severity.FAILURE, message, fix)
    if behind > _BEHIND_SEGMENTS:
        message = (
            f"The archive is {counted(behind, 'segment')}"
            f" ({size(behind * server.segment_bytes)}) behind the server."
        )
        fix = "See what slows archive_command; archive-async=y sends several at once."
        return _finding("wal", Severity.WARNING, message, fix)
    message = "The archive keeps up with the server"
    message += f": {counted(behind, 'segment')} behind." if behind else "."
    return _finding("wal", Severity.OK, message, answer=", ".join(stanza.wal_ends.values()))
