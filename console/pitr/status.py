"""Everything that is known of a target's point-in-time recovery, and what is not well with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from console.backup.manifest import Verdict
from console.errors import ConsoleError
from console.findings import Finding, Severity
from console.pitr import archive as archives
from console.pitr.archive import Archive
from console.pitr.audit import Audit, look, merged
from console.pitr.base import Base, bases, disk_free
from console.pitr.moments import moments
from console.pitr.receiver_state import ReceiverState
from console.pitr.setup import PATIENT, read_sample, slot_words, unlimited_slot
from console.pitr.stretch import Notable
from console.pitr.window import Window, orphans, windows
from console.session import connect
from console.settings import Settings
from console.target import Target
from console.units import age, duration, size
from queries.pitr import WalSample

RECOVERY_POINT_SECONDS = 5.0
"""How old the recovery point may be while receiving."""

_LOW_DISK_HOURS = 24.0
_DRILL_DAYS = 30


@dataclass(frozen=True, slots=True)
class Status:
    """As of `at`; times of the archive are the server's."""

    at: datetime
    archive: Archive
    audit: Audit
    bases: tuple[Base, ...]
    """Newest first."""
    windows: tuple[Window, ...]
    """Oldest first."""
    receiver_pid: int | None
    sample: WalSample | None
    """What the server says now; None when it was not asked, or does not answer."""
    wal_bytes: int
    """On this disk."""
    wal_bytes_a_day: float | None
    """Received, packed; None when there is too little to tell."""
    free_bytes: int
    findings: tuple[Finding, ...]

    @property
    def state(self) -> ReceiverState | None:
        return self.audit.state

    @property
    def notable(self) -> tuple[Notable, ...]:
        """What happened in what can be recovered, the newest first."""
        found = moments(self.archive)
        return tuple(e for e in found if any(w.holds_lsn(e.lsn) for w in self.windows))

    @property
    def recovery_age(self) -> float | None:
        """Seconds that would be lost if the server were gone now; None when unknown."""
        if self.state is None or self.state.recovery_time is None:
            return None
        return max(0.0, (self.at - self.state.recovery_time).total_seconds())


def read_status(
    archive: Archive, settings: Settings, sample: WalSample | None = None, problem: str = ""
) -> Status:
    """From the archive's files alone. Raises CommandFailed when they cannot be read."""
    found = look(archive)
    known = bases(archive)
    windowed = windows(found, known)
    files = [file for stretch in archive.stretches for file in stretch.files.values()]
    status = Status(
        at=datetime.now(UTC),
        archive=archive,
        audit=found,
        bases=known,
        windows=windowed,
        receiver_pid=archive.holder("receive"),
        sample=sample,
        wal_bytes=sum(file.bytes for file in files),
        wal_bytes_a_day=_rate(archive),
        free_bytes=disk_free(archive),
        findings=(),
    )
    findings = _findings(status, settings, problem)
    return _with_findings(status, findings)


def _with_findings(status: Status, findings: list[Finding]) -> Status:
    ordered = sorted(findings, key=lambda finding: finding.severity.rank)
    return replace(status, findings=tuple(ordered))


async def ask_status(target: Target, settings: Settings) -> Status:
    """From the archive, and from the server where it answers.

    Raises ActionRefused without an archive, CommandFailed when it cannot be read.
    """
    archive = await asyncio.to_thread(archives.require, settings.pitr, target.name)
    sample, problem = None, ""
    if archive.info.slot:
        try:
            async with connect(target, limits=PATIENT) as connection:
                sample = await read_sample(connection, archive.info.slot)
        except ConsoleError as error:
            problem = error.message
    return await asyncio.to_thread(read_status, archive, settings, sample, problem)


def _rate(archive: Archive) -> float | None:
    """Bytes on the disk a day, from the ledger's times and the files' sizes."""
    stretch = archive.current
    known = [
        (stretch.ledger[file.segment.name].sealed_at, file.bytes)
        for file in stretch.files.values()
        if file.segment.name in stretch.ledger
    ][-200:]
    if len(known) < 3:
        return None
    seconds = (known[-1][0] - known[0][0]).total_seconds()
    return sum(size for _, size in known[1:]) / seconds * 86_400 if seconds >= 60 else None


def _findings(status: Status, settings: Settings, problem: str) -> list[Finding]:
    found = [
        *_about_wal(status),
        *_about_bases(status, settings),
        *_about_disk(status),
    ]
    if status.archive.info.slot:
        found += _about_receiver(status, problem)
    return found


def _about_wal(status: Status) -> list[Finding]:
    found = [
        Finding(
            "pitr.segment",
            Severity.FAILURE,
            trouble.segment,
            f"WAL {trouble.segment}: {trouble.problem}.",
            fix="Make a base backup now: medianest-console pitr base",
        )
        for trouble in merged(status.audit.troubles)
    ]
    gaps = status.state.gaps if status.state else ()
    for gap in gaps:
        covered = any(w.from_time > gap.seen_at for w in status.windows)
        found.append(
            Finding(
                "pitr.gap",
                Severity.WARNING if covered else Severity.FAILURE,
                gap.start,
                f"Gap in the WAL from {gap.start} to {gap.end}, seen"
                f" {age(gap.seen_at, status.at)}: {gap.reason}.",
                fix="" if covered else "medianest-console pitr base",
            )
        )
    return found


def _about_bases(status: Status, settings: Settings) -> list[Finding]:
    policy = settings.pitr
    if not status.bases:
        message = "There is no base backup: nothing can be recovered."
        return [_bad("pitr.base", message, "medianest-console pitr base")]
    found = []
    for base in status.bases:
        if base.manifest is None:
            found.append(_bad("pitr.base", f"Base backup {base.id} is damaged: {base.problem}."))
        elif base.verdict is Verdict.FAIL:
            reason = base.verification.reason if base.verification else ""
            found.append(_bad("pitr.base", f"Base backup {base.id} is damaged: {reason}."))
    for base in orphans(status.audit, status.bases):
        message = f"Base backup {base.id} leads only to its own end: its WAL is not here."
        found.append(Finding("pitr.base-wal", Severity.WARNING, base.id, message))
    newest = status.bases[0]
    if newest.verdict is Verdict.COULD_NOT_VERIFY:
        message = f"The newest base backup, {newest.id}, is not verified."
        fix = f"medianest-console pitr verify {newest.id}"
        found.append(Finding("pitr.base", Severity.WARNING, newest.id, message, fix=fix))
    due = timedelta(days=policy.base_every_days * 2)
    if newest.manifest and status.at - newest.manifest.ended_at > due:
        made = age(newest.manifest.ended_at, status.at)
        message = f"The newest base backup was made {made}: recovery replays all WAL since."
        found.append(
            Finding(
                "pitr.base-age", Severity.WARNING, "", message, fix="medianest-console pitr base"
            )
        )
    if not status.windows:
        found.append(_bad("pitr.window", "No base backup leads into the WAL that is here."))
    return found + _about_drills(status)


def _about_drills(status: Status) -> list[Finding]:
    drills = [base.drill for base in status.bases if base.drill is not None]
    newest = max(drills, key=lambda proof: proof.at, default=None)
    if newest is None:
        message, severity = "Recovery was never rehearsed here.", Severity.WARNING
    elif newest.verdict is Verdict.FAIL:
        message, severity = f"The last drill failed: {newest.reason}.", Severity.FAILURE
    elif status.at - newest.at > timedelta(days=_DRILL_DAYS):
        message, severity = f"The last drill was {age(newest.at, status.at)}.", Severity.WARNING
    else:
        took = duration(newest.restore_seconds)
        message = f"A drill {age(newest.at, status.at)} was readable after {took}."
        severity = Severity.OK if newest.verdict is Verdict.PASS else Severity.UNKNOWN
    fix = "" if severity is Severity.OK else "medianest-console pitr drill"
    return [Finding("pitr.drill", severity, "", message, fix=fix)]


def _about_disk(status: Status) -> list[Finding]:
    rate = status.wal_bytes_a_day
    hours = status.free_bytes / rate * 24 if rate else None
    if hours is not None and hours < _LOW_DISK_HOURS:
        message = (
            f"The archive's disk has {size(status.free_bytes)} left: full in"
            f" {duration(hours * 3600)} at this rate."
        )
        return [_bad("pitr.disk", message, "medianest-console pitr prune")]
    return []


def _about_receiver(status: Status, problem: str) -> list[Finding]:
    state, found = status.state, []
    if status.receiver_pid is None:
        since = f"; it stopped {age(state.written_at, status.at)}" if state else ""
        message = f"Nothing receives WAL{since}."
        found.append(_bad("pitr.receiver", message, "medianest-console pitr receive"))
    elif state is not None and state.phase != "receiving":
        message = f"The receiver is {state.phase}: {state.problem or 'not streaming yet'}"
        found.append(_bad("pitr.receiver", message))
    elif (lost := status.recovery_age) is not None and lost > RECOVERY_POINT_SECONDS:
        message = f"The recovery point is {duration(lost)} old; it should be under 5 s."
        found.append(Finding("pitr.lag", Severity.WARNING, "", message))
    if status.sample is not None:
        found.append(slot_words(status.sample))
        if status.sample.slot_limit_mb == -1:
            found.append(unlimited_slot())
    elif problem:
        message = f"The server was not asked about its slot: {problem}"
        found.append(Finding("pitr.slot", Severity.UNKNOWN, "slot", message))
    return found


def _bad(check: str, message: str, fix: str = "") -> Finding:
    return Finding(check, Severity.FAILURE, "", message, fix=fix)
