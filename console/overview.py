"""How the database is right now: rates between two samples, a short history, and a verdict."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from console import units
from console.findings import Finding, Severity
from queries.overview import DatabaseSize, Sample

CONNECTIONS_WARNING = 0.8
"""Share of the slots ordinary roles may take."""
TRANSACTION_WARNING_SECONDS = 300.0
IDLE_LOCK_WARNING = 1
FREEZE_WARNING = 2.0
"""Oldest transaction age in autovacuum_freeze_max_ages: autovacuum does not keep up."""
SLOT_WARNING_BYTES = 1 << 30
REPLAY_WARNING_SECONDS = 300.0
HISTORY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened between two samples; None where it cannot be said."""

    at: datetime
    transactions_per_second: float | None
    cache_hit_ratio: float | None
    """Of the blocks asked for in between; None when none was asked for."""
    rollback_ratio: float | None


def rates(previous: Sample | None, current: Sample) -> Rates:
    """Rates since the previous sample. Counters that went back (a reset, a restart) give None."""
    if previous is None or previous.reset_at != current.reset_at:
        return Rates(current.at, None, None, None)
    seconds = (current.at - previous.at).total_seconds()
    transactions = current.transactions - previous.transactions
    rollbacks = current.rollbacks - previous.rollbacks
    hit = current.blocks_hit - previous.blocks_hit
    read = current.blocks_read - previous.blocks_read
    if seconds <= 0 or min(transactions, rollbacks, hit, read) < 0:
        return Rates(current.at, None, None, None)
    return Rates(
        at=current.at,
        transactions_per_second=transactions / seconds,
        cache_hit_ratio=hit / (hit + read) if hit + read else None,
        rollback_ratio=rollbacks / transactions if transactions else None,
    )


def cache_hit_ratio(sample: Sample) -> float | None:
    """Blocks found in shared_buffers of all asked for, since statistics were reset."""
    asked = sample.blocks_hit + sample.blocks_read
    return sample.blocks_hit / asked if asked else None


@dataclass(slots=True)
class History:
    """The last minutes of samples; the oldest leave as new ones come."""

    samples: deque[Sample] = field(default_factory=deque)
    rates: deque[Rates] = field(default_factory=deque)
    sizes: deque[DatabaseSize] = field(default_factory=deque)

    def add(self, sample: Sample) -> Rates:
        """Take a new sample; its rates since the last one."""
        latest = rates(self.samples[-1] if self.samples else None, sample)
        self.samples.append(sample)
        self.rates.append(latest)
        while self.samples[0].at < sample.at - HISTORY:
            self.samples.popleft()
            self.rates.popleft()
        return latest

    def add_size(self, size: DatabaseSize) -> None:
        self.sizes.append(size)
        while self.sizes[0].at < size.at - timedelta(hours=24):
            self.sizes.popleft()

    @property
    def growth_per_hour(self) -> float | None:
        """Bytes an hour since the first size known; None before a minute has passed."""
        if len(self.sizes) < 2:
            return None
        first, last = self.sizes[0], self.sizes[-1]
        hours = (last.at - first.at).total_seconds() / 3600
        return (last.bytes - first.bytes) / hours if hours > 0 else None


def judge(sample: Sample, *, sees_everything: bool) -> list[Finding]:
    """What is wrong now, worst first; an empty list is a healthy database.

    `sees_everything` says whether the role may see other roles' sessions; without it the parts
    that depend on them are reported as unknown.
    """
    findings = [
        *_connections(sample),
        *_transactions(sample),
        *_freezing(sample),
        *_replication(sample),
    ]
    if not sees_everything:
        findings.append(
            Finding(
                "live.sessions-hidden",
                Severity.UNKNOWN,
                "",
                "Other roles' sessions are hidden from this role.",
                fix="GRANT pg_read_all_stats TO CURRENT_USER; -- as a superuser",
            )
        )
    return sorted(findings, key=lambda finding: finding.severity.rank)


def _connections(sample: Sample) -> Iterable[Finding]:
    usable = sample.max_connections - sample.reserved_connections
    share = sample.connections / usable if usable else 1.0
    if share >= CONNECTIONS_WARNING:
        severity = Severity.FAILURE if share >= 1 else Severity.WARNING
        yield Finding(
            "live.connections",
            severity,
            "",
            f"{sample.connections} of {usable} connections are in use ({units.percent(share)}).",
            fix="Lower the applications' pools (connection_limit), or raise max_connections.",
        )
    if sample.waiting_for_lock >= IDLE_LOCK_WARNING:
        number = sample.waiting_for_lock
        yield Finding(
            "live.lock-waits",
            Severity.WARNING,
            "",
            f"{number} session{'s' if number > 1 else ''} waiting for a lock.",
            fix="SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock';",
        )


def _transactions(sample: Sample) -> Iterable[Finding]:
    seconds = sample.longest_seconds
    if seconds is not None and seconds >= TRANSACTION_WARNING_SECONDS:
        yield Finding(
            "live.long-transaction",
            Severity.WARNING,
            f"pid {sample.longest_pid}",
            f"A transaction is open for {units.duration(seconds)} (pid {sample.longest_pid},"
            f" {sample.longest_state}); vacuum cannot clean up behind it.",
            fix=f"SELECT pg_terminate_backend({sample.longest_pid});",
        )
    if sample.prepared_transactions:
        number = sample.prepared_transactions
        yield Finding(
            "live.prepared-transactions",
            Severity.WARNING,
            "",
            f"{number} prepared transaction{'s' if number > 1 else ''} left open.",
            fix="SELECT gid, prepared FROM pg_prepared_xacts; -- then COMMIT or ROLLBACK PREPARED",
        )


def _freezing(sample: Sample) -> Iterable[Finding]:
    if sample.oldest_xid_age >= FREEZE_WARNING * sample.freeze_max_age:
        yield Finding(
            "live.wraparound",
            Severity.FAILURE if sample.oldest_xid_age > 1_500_000_000 else Severity.WARNING,
            "",
            f"The oldest row is {units.count(sample.oldest_xid_age)} transactions old; at"
            " 2.1G the server stops accepting writes.",
            fix="VACUUM (FREEZE); -- in the database with the highest age(datfrozenxid)",
        )


def _replication(sample: Sample) -> Iterable[Finding]:
    retained = sample.slot_bytes_retained or 0
    if sample.inactive_slots and retained >= SLOT_WARNING_BYTES:
        yield Finding(
            "live.inactive-slot",
            Severity.WARNING,
            "",
            f"An inactive replication slot holds back {units.size(retained)} of WAL.",
            fix="SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE NOT active; -- if nobody will come back for it",
        )
    failed, archived = sample.last_archive_failure_at, sample.last_archived_at
    if sample.archive_mode != "off" and failed and (archived is None or failed > archived):
        yield Finding(
            "live.archiving",
            Severity.FAILURE,
            "",
            f"WAL archiving fails since {units.age(archived, sample.at)}."
            if archived
            else "WAL archiving has never succeeded.",
            fix="Read the server's log for archive_command's error.",
        )
    behind = sample.replay_seconds_behind
    if behind is not None and behind >= REPLAY_WARNING_SECONDS:
        yield Finding(
            "live.replay-behind",
            Severity.WARNING,
            "",
            f"This standby's last replayed transaction is {units.duration(behind)} old.",
            fix="SELECT * FROM pg_stat_wal_receiver;",
        )
