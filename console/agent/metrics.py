"""What Prometheus is given: the last look at each target, from a registry of our own.

Rates are left to Prometheus: counters are handed on as PostgreSQL counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from console import __version__
from console.agent.health import Reading
from console.agent.memory import Memory
from console.backup.manifest import Verdict
from console.backup.store import Backup

_PREFIX = "medianest_"
_TARGET = ("target",)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One target as it was seen last; the last known value of what is not looked at each time."""

    reading: Reading
    memory: Memory
    backups: Sequence[Backup]
    backup_age: float | None
    """Seconds since the newest verified backup was made; by uptime where the agent made it."""
    slow_facts: Reading
    """The last look that was at sizes, disks and statements."""
    certificate_days: float | None = None


def registry(
    snapshots: Callable[[], dict[str, Snapshot]], waiting: Callable[[], int]
) -> CollectorRegistry:
    """A registry that asks for snapshots when it is read; `waiting` are messages not delivered."""
    made = CollectorRegistry()
    made.register(_Collector(snapshots, waiting))
    return made


@dataclass(slots=True)
class _Families:
    """Metric families by name, in the order they were first used."""

    known: dict[str, Metric] = field(default_factory=dict)

    def gauge(
        self, name: str, about: str, value: float | None, *labels: str, by: Sequence[str] = _TARGET
    ) -> None:
        """A figure; one that is None is left out, never told as 0."""
        if name not in self.known:
            self.known[name] = GaugeMetricFamily(_PREFIX + name, about, labels=by)
        family = self.known[name]
        assert isinstance(family, GaugeMetricFamily)
        if value is not None:
            family.add_metric(labels, float(value))

    def counter(self, name: str, about: str, value: float | None, *labels: str) -> None:
        """A count since the server's statistics were reset."""
        if name not in self.known:
            self.known[name] = CounterMetricFamily(_PREFIX + name, about, labels=_TARGET)
        family = self.known[name]
        assert isinstance(family, CounterMetricFamily)
        if value is not None:
            family.add_metric(labels, float(value))


class _Collector:
    def __init__(
        self, snapshots: Callable[[], dict[str, Snapshot]], waiting: Callable[[], int]
    ) -> None:
        self._snapshots, self._waiting = snapshots, waiting

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: what there is depends on the targets."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            _PREFIX + "agent", "The agent's version", value={"version": __version__}
        )
        families = _Families()
        families.gauge(
            "agent_messages_waiting", "Messages not delivered yet", self._waiting(), by=()
        )
        for name, snapshot in self._snapshots().items():
            _health(families, name, snapshot.reading)
            _activity(families, name, snapshot.reading)
            _minutely(families, name, snapshot)
            _backups(families, name, snapshot)
            _verdicts(families, name, snapshot.memory)
        yield from families.known.values()


def _health(families: _Families, name: str, reading: Reading) -> None:
    families.gauge("up", "1 when the last look found the server", reading.up, name)
    families.gauge(
        "answer_seconds",
        "How long the cheap figures took",
        reading.seconds if reading.sample else None,
        name,
    )
    families.gauge(
        "look_timestamp_seconds", "When the agent looked last", reading.at.wall.timestamp(), name
    )


def _activity(families: _Families, name: str, reading: Reading) -> None:
    sample = reading.sample
    if sample is None:
        return
    gauges: tuple[tuple[str, str, float | None], ...] = (
        ("connections", "Client connections", sample.connections),
        ("connections_active", "Connections that run a statement", sample.active),
        (
            "connections_idle_in_transaction",
            "Connections that hold a transaction open and do nothing",
            sample.idle_in_transaction,
        ),
        (
            "connections_limit",
            "Connections that ordinary roles may take",
            sample.max_connections - sample.reserved_connections,
        ),
        ("lock_waiting", "Sessions that wait for a lock", sample.waiting_for_lock),
        (
            "lock_wait_seconds",
            "The longest wait for a lock",
            (reading.lock_wait.seconds if reading.lock_wait else None) or 0.0,
        ),
        (
            "transaction_longest_seconds",
            "Age of the oldest open transaction",
            sample.longest_seconds or 0.0,
        ),
        ("transaction_prepared", "Prepared transactions left open", sample.prepared_transactions),
        ("freeze_age", "Transactions since the oldest unfrozen row", sample.oldest_xid_age),
        ("standby_behind_bytes", "WAL the slowest standby is behind", sample.standby_bytes_behind),
        ("slot_retained_bytes", "WAL inactive slots hold back", sample.slot_bytes_retained),
        ("replay_behind_seconds", "How old a standby's data is", sample.replay_seconds_behind),
    )
    for metric, about, value in gauges:
        families.gauge(metric, about, value, name)
    counters = (
        ("transactions", "Transactions", sample.transactions),
        ("rollbacks", "Transactions rolled back", sample.rollbacks),
        ("blocks_hit", "Blocks found in shared_buffers", sample.blocks_hit),
        ("blocks_read", "Blocks asked of the operating system", sample.blocks_read),
        ("deadlocks", "Deadlocks", sample.deadlocks),
        ("temporary_bytes", "Bytes written to temporary files", sample.temp_bytes),
    )
    for metric, about, value in counters:
        families.counter(metric, about, value, name)


def _minutely(families: _Families, name: str, snapshot: Snapshot) -> None:
    slow = snapshot.slow_facts
    families.gauge("database_bytes", "Size of the database", slow.database_bytes, name)
    ran = slow.statements
    families.gauge(
        "statements_per_second",
        "Statements in the last minute",
        ran.per_second if ran else None,
        name,
    )
    families.gauge(
        "statement_mean_seconds",
        "Mean time of the last minute's statements",
        ran.mean_ms / 1000 if ran else None,
        name,
    )
    for disk in {disk.mount: disk for disk in slow.disks.values()}.values():
        by = ("target", "mount")
        families.gauge("disk_bytes", "Size of a disk", disk.total, name, disk.mount, by=by)
        families.gauge("disk_free_bytes", "Free on a disk", disk.free, name, disk.mount, by=by)
    families.gauge(
        "certificate_expires_in_seconds",
        "Until the server's certificate expires",
        None if snapshot.certificate_days is None else snapshot.certificate_days * 86_400,
        name,
    )


def _backups(families: _Families, name: str, snapshot: Snapshot) -> None:
    backups = snapshot.backups
    families.gauge("backups", "Backups there are", len(backups), name)
    proven = next((b for b in backups if b.verdict is Verdict.PASS), None)
    newest = next((b for b in backups if b.manifest is not None), None)
    manifest = newest.manifest if newest else None
    families.gauge(
        "backup_age_seconds", "Since the newest verified backup", snapshot.backup_age, name
    )
    families.gauge(
        "backup_bytes", "Size of the newest backup", manifest.bytes if manifest else None, name
    )
    families.gauge(
        "backup_duration_seconds",
        "How long making the newest backup took",
        manifest.seconds if manifest else None,
        name,
    )
    families.gauge(
        "backup_verified",
        "1 when the newest backup is verified, 0 when not or without any",
        proven is not None and proven is newest,
        name,
    )
    drills = [b.drill for b in backups if b.drill is not None]
    last = max(drills, key=lambda proof: proof.at, default=None)
    families.gauge(
        "backup_drilled",
        "1 when the last restore drill passed, 0 when it did not or there was none",
        last is not None and last.verdict is Verdict.PASS,
        name,
    )
    families.gauge(
        "backup_drill_timestamp_seconds",
        "When the last drill was",
        last.at.timestamp() if last else None,
        name,
    )
    families.gauge(
        "backup_restore_seconds",
        "How long restoring took in the last drill",
        last.restore_seconds if last else None,
        name,
    )


def _verdicts(families: _Families, name: str, memory: Memory) -> None:
    by = ("target", "severity")
    for severity in ("warning", "failure"):
        raised = [a for a in memory.book.values() if a.is_raised and a.severity == severity]
        families.gauge("alerts", "Alerts that are raised", len(raised), name, severity, by=by)
    if memory.checked is not None:
        for severity, amount in memory.checked.counts.items():
            families.gauge(
                "checks", "Checks of the last day by severity", amount, name, severity, by=by
            )
        families.gauge(
            "checks_timestamp_seconds",
            "When they ran",
            memory.checked.at.timestamp(),
            name,
        )
