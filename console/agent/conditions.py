"""What is worth telling in what was seen: pure judgements, each with the words of its alert."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from console import units
from console.agent.health import Reading
from console.agent.policy import Thresholds
from console.machine import Disk
from queries.overview import Sample

_CLEARS_AT = 0.9
"""Of a threshold: what rose to it is over when it is below this share of it."""
_MB = 1 << 20
_ALMOST_FULL = 0.95
_CALLS_THAT_COUNT = 100

Severity = Literal["warning", "failure"]


class Kind(StrEnum):
    DOWN = "down"
    CONNECTIONS = "connections"
    DISK = "disk"
    DISK_FILLING = "disk-filling"
    TRANSACTION = "transaction"
    LOCK = "lock"
    SLOW = "slow"
    REPLICATION = "replication"
    ARCHIVING = "archiving"
    CERTIFICATE = "certificate"
    BACKUP_FAILED = "backup-failed"
    BACKUP_OVERDUE = "backup-overdue"
    VERIFICATION_FAILED = "verification-failed"
    DRILL_FAILED = "drill-failed"
    CHECK = "check"
    RECEIVER = "wal-receiver"


TITLES: Mapping[Kind, str] = {
    Kind.DOWN: "is down",
    Kind.CONNECTIONS: "runs out of connections",
    Kind.DISK: "a disk is nearly full",
    Kind.DISK_FILLING: "a disk will soon be full",
    Kind.TRANSACTION: "a transaction stays open",
    Kind.LOCK: "a lock is waited for",
    Kind.SLOW: "queries are slow",
    Kind.REPLICATION: "replication is behind",
    Kind.ARCHIVING: "WAL archiving fails",
    Kind.CERTIFICATE: "the certificate expires",
    Kind.BACKUP_FAILED: "a backup failed",
    Kind.BACKUP_OVERDUE: "a backup is overdue",
    Kind.VERIFICATION_FAILED: "a backup's verification failed",
    Kind.DRILL_FAILED: "a restore drill failed",
    Kind.CHECK: "a check newly fails",
    Kind.RECEIVER: "WAL is not received",
}
"""What an alert's title says after the target's name."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is worth telling while it `holds`."""

    kind: Kind
    subject: str
    """What of the target it is about; '' for the target itself."""
    holds: bool
    severity: Severity = "warning"
    message: str = ""
    """One sentence."""
    hint: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind} {self.subject}".strip()


def judge(
    reading: Reading, thresholds: Thresholds, raised: Collection[str]
) -> tuple[Condition, ...]:
    """Conditions of one look; nothing is said of what it could not see.

    `raised` are the keys of those that hold already: they are over only a tenth below.
    """
    over = _Over(raised)
    found = [Condition(Kind.DOWN, "", not reading.up, "failure", reading.problem, reading.hint)]
    if reading.full:
        found.append(
            Condition(Kind.CONNECTIONS, "", True, "failure", reading.problem, reading.hint)
        )
    if reading.sample is not None:
        found += _of_sample(reading, reading.sample, thresholds, over)
    if reading.statements is not None and reading.statements.calls >= _CALLS_THAT_COUNT:
        found.append(_slow(reading.statements.mean_ms, thresholds, over))
    if reading.certificate_days is not None:
        found.append(_certificate(reading.certificate_days, thresholds))
    return (*found, *_disks(reading.disks, thresholds, over))


@dataclass(frozen=True, slots=True)
class _Over:
    """Whether a figure is at its threshold, or not clearly below it again."""

    raised: Collection[str]

    def __call__(self, kind: Kind, subject: str, figure: float, threshold: float) -> bool:
        key = f"{kind} {subject}".strip()
        return figure >= (threshold * _CLEARS_AT if key in self.raised else threshold)


def _of_sample(
    reading: Reading, sample: Sample, thresholds: Thresholds, over: _Over
) -> Iterable[Condition]:
    usable = max(1, sample.max_connections - sample.reserved_connections)
    percent = 100 * sample.connections / usable
    yield Condition(
        Kind.CONNECTIONS,
        "",
        over(Kind.CONNECTIONS, "", percent, thresholds.connections_percent),
        "failure" if sample.connections >= usable else "warning",
        f"{sample.connections} of {usable} connections are in use ({percent:.0f} %).",
        "Lower the applications' pools, or raise max_connections.",
    )
    open_for = sample.longest_seconds or 0.0
    yield Condition(
        Kind.TRANSACTION,
        "",
        over(Kind.TRANSACTION, "", open_for, thresholds.transaction_seconds),
        "warning",
        f"A transaction is open for {units.duration(open_for)}"
        f" (pid {sample.longest_pid}, {sample.longest_state}).",
        "End it in the console's Activity tab, or by pg_terminate_backend().",
    )
    yield _lock(reading, thresholds, over)
    yield from _replication(sample, thresholds, over)


def _lock(reading: Reading, thresholds: Thresholds, over: _Over) -> Condition:
    wait = reading.lock_wait
    seconds = (wait.seconds if wait else None) or 0.0
    of = f" of {wait.relation}" if wait and wait.relation else ""
    return Condition(
        Kind.LOCK,
        "",
        over(Kind.LOCK, "", seconds, thresholds.lock_seconds),
        "warning",
        f"A session waits for a lock{of} for {units.duration(seconds)}"
        f" (pid {wait.pid if wait else None}).",
        "The console's Activity tab shows who blocks it.",
    )


def _replication(sample: Sample, thresholds: Thresholds, over: _Over) -> Iterable[Condition]:
    limit = thresholds.replication_behind_mb * _MB
    amounts: tuple[tuple[str, int | None, Callable[[str], str]], ...] = (
        ("standby", sample.standby_bytes_behind, lambda size: f"A standby is {size} behind."),
        (
            "slot",
            sample.slot_bytes_retained if sample.inactive_slots else 0,
            lambda size: f"An inactive replication slot holds back {size} of WAL.",
        ),
    )
    for subject, amount, words in amounts:
        behind = amount or 0
        yield Condition(
            Kind.REPLICATION,
            subject,
            over(Kind.REPLICATION, subject, behind, limit),
            "warning",
            words(units.size(behind)),
            "Look at pg_stat_replication and pg_replication_slots.",
        )
    if sample.in_recovery:
        seconds = sample.replay_seconds_behind or 0.0
        yield Condition(
            Kind.REPLICATION,
            "replay",
            over(Kind.REPLICATION, "replay", seconds, thresholds.replication_behind_seconds),
            "warning",
            f"What this standby replayed last is {units.duration(seconds)} old.",
            "Look at pg_stat_wal_receiver.",
        )
    if sample.archive_mode != "off":
        failed, archived = sample.last_archive_failure_at, sample.last_archived_at
        fails = failed is not None and (archived is None or failed > archived)
        yield Condition(
            Kind.ARCHIVING,
            "",
            fails,
            "failure",
            f"The last WAL segment was archived {units.age(archived, sample.at)},"
            " and attempts fail since.",
            "Read the server's log for archive_command's error.",
        )


def _slow(mean_ms: float, thresholds: Thresholds, over: _Over) -> Condition:
    return Condition(
        Kind.SLOW,
        "",
        over(Kind.SLOW, "", mean_ms, thresholds.mean_query_ms),
        "warning",
        f"Statements took {mean_ms:.0f} ms on average in the last minute.",
        "The console's Timings tab shows which.",
    )


def _certificate(days: float, thresholds: Thresholds) -> Condition:
    return Condition(
        Kind.CERTIFICATE,
        "",
        days < thresholds.certificate_days,
        "failure" if days < 0 else "warning",
        f"The server's certificate expires in {days:.0f} days."
        if days >= 0
        else f"The server's certificate expired {-days:.0f} days ago.",
        "Renew it, then SELECT pg_reload_conf();",
    )


def _disks(disks: Mapping[str, Disk], thresholds: Thresholds, over: _Over) -> Iterable[Condition]:
    for mount, disk in {disk.mount: disk for disk in disks.values()}.items():
        percent = 100 * disk.used_share
        yield Condition(
            Kind.DISK,
            mount,
            over(Kind.DISK, mount, percent, thresholds.disk_percent),
            "failure" if disk.used_share >= _ALMOST_FULL else "warning",
            f"The disk at {mount} is {percent:.0f} % full, {units.size(disk.free)} are free.",
            "Free some room, or give it more.",
        )


def filling(disk: Disk, bytes_per_day: float, thresholds: Thresholds) -> Condition:
    """Whether a disk will be full too soon if it grows as it did."""
    days = disk.free / bytes_per_day if bytes_per_day > 0 else float("inf")
    return Condition(
        Kind.DISK_FILLING,
        disk.mount,
        days <= thresholds.disk_full_days,
        "warning",
        f"The disk at {disk.mount} will be full in {days:.0f} days"
        f" ({units.size(int(bytes_per_day))} more each day).",
        "Free some room, or give it more.",
    )
