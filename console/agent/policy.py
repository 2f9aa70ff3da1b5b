"""The settings of the agent: how often it looks, what it keeps, whom it tells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path
from typing import Literal

_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_LISTEN = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PLACEHOLDERS = ("target", "subject", "message", "hint", "severity", "since", "duration")
"""What a message's template may name."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A span of each day, in the agent's own time zone, when only failures are told."""

    start: time
    end: time

    @classmethod
    def from_text(cls, text: str) -> QuietHours:
        match = _QUIET.fullmatch(text.strip())
        if match is None:
            raise ValueError("hours such as 22:00-07:00")
        hours = [int(part) for part in match.groups()]
        return cls(time(hours[0], hours[1]), time(hours[2], hours[3]))

    def holds(self, now: datetime) -> bool:
        """Whether `now` is in the span; one that ends before it starts goes over midnight."""
        clock = now.time()
        if self.start <= self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody who is told: an Apprise address, kept in a file when it holds a secret."""

    url: str | None = field(default=None, repr=False)
    """An Apprise address, e.g. ntfy://ntfy.sh/TOPIC."""
    url_file: Path | None = None
    """A file whose lines are Apprise addresses, for those that hold a secret."""
    at_least: Literal["warning", "failure"] = "warning"
    """Tell it of warnings too, or of failures only."""

    def __post_init__(self) -> None:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("either url or url_file")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is worth telling; what rose to it is over a tenth below."""

    connections_percent: float = 80.0
    """Connections in use, of those that ordinary roles may take."""
    disk_percent: float = 80.0
    """How full the disk of the data, of the backups or of `agent.disks` is."""
    disk_full_days: float = 7.0
    """A disk that will be full within so many days, as it grew in the last week."""
    transaction_seconds: float = 900.0
    """The age of the oldest open transaction."""
    lock_seconds: float = 60.0
    """How long a session has waited for a lock."""
    mean_query_ms: float = 50.0
    """The mean of all statements of a minute in which at least a hundred ran."""
    replication_behind_mb: float = 256.0
    """WAL that a standby, an inactive slot or the WAL receiver is behind."""
    replication_behind_seconds: float = 300.0
    """The age of what a standby replayed last."""
    certificate_days: float = 14.0
    """Days until the server's certificate expires."""
    backup_overdue_hours: float = 36.0
    """The age of the newest verified backup."""


@dataclass(frozen=True, slots=True)
class Templates:
    """Message texts; {target}, {subject}, {message}, {hint}, {severity}, {since}, {duration}."""

    raised: str = "{message} {hint}"
    """What is told when something begins."""
    repeated: str = "Still, for {duration}: {message} {hint}"
    """What is told while it goes on."""
    cleared: str = "Over after {duration}: {message}"
    """What is told when it is over."""

    def __post_init__(self) -> None:
        words = dict.fromkeys(PLACEHOLDERS, "")
        for text in (self.raised, self.repeated, self.cleared):
            try:
                text.format_map(words)
            except (KeyError, IndexError, ValueError, AttributeError) as error:
                known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
                raise ValueError(f"texts with none but {known} in braces") from error


@dataclass(frozen=True, slots=True)
class Alerts:
    """Whom to tell, of what, and how often."""

    to: tuple[Receiver, ...] = ()
    """The receivers."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """From where on."""
    after_seconds: float = 45.0
    """A condition is told when it has held this long, and as over when it was gone as long."""
    repeat_hours: float = 12.0
    """What still holds is told again this often; 0 never."""
    quiet: QuietHours | None = None
    """Warnings wait until these hours are over; failures do not."""
    templates: Templates = field(default_factory=Templates)
    """How it is worded."""

    def __post_init__(self) -> None:
        if self.after_seconds < 0 or self.repeat_hours < 0:
            raise ValueError("times of 0 or more")


@dataclass(frozen=True, slots=True)
class Metrics:
    """The Prometheus endpoint."""

    listen: str | None = None
    """HOST:PORT such as 127.0.0.1:9646; none is opened when left out."""
    user: str = "prometheus"
    """The user of basic authentication, when there is a password_file."""
    password_file: Path | None = None
    """A file whose first line is the password of `user`."""
    token_file: Path | None = None
    """A file whose first line is the bearer token."""

    def __post_init__(self) -> None:
        if self.listen is None:
            return
        match = _LISTEN.fullmatch(self.listen)
        if match is None or not 1 <= int(match[2]) <= 65535:
            raise ValueError("listen as HOST:PORT")
        if match[1] not in _LOOPBACK and self.password_file is None and self.token_file is None:
            raise ValueError("password_file or token_file where listen is not on loopback")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`, which must be set."""
        host, _, port = (self.listen or "").rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The section `agent` of the settings file."""

    targets: tuple[str, ...] = ()
    """Names among `targets`; all of them when left out."""
    health_seconds: float = 15.0
    """How often each target is looked at."""
    checks_hour: int | None = 4
    """The hour of the day (UTC) from which the readiness check runs; none, never."""
    backups: bool = True
    """Make what `backups.schedule` asks for, verify it and prune."""
    drill: Literal["never", "weekly", "monthly"] = "monthly"
    """Restore the newest verified backup into a scratch database and compare."""
    receive_wal: bool = True
    """Receive the WAL of targets that `pitr setup` prepared."""
    disks: tuple[Path, ...] = ()
    """Directories whose disk is watched too, beside the data's and the backups'."""
    log_file: Path | None = None
    """The log, rotated at 10 MB with four older ones kept; standard output when left out."""
    history_megabytes: float = 200.0
    """The history database is kept below this."""
    alerts: Alerts = field(default_factory=Alerts)
    """Whom to tell of what."""
    metrics: Metrics = field(default_factory=Metrics)
    """Prometheus."""

    def __post_init__(self) -> None:
        if not 1 <= self.health_seconds <= 3600:
            raise ValueError("health_seconds from 1 to 3600")
        if self.checks_hour is not None and not 0 <= self.checks_hour <= 23:
            raise ValueError("checks_hour from 0 to 23")
        if self.history_megabytes < 10:
            raise ValueError("history_megabytes of at least 10")
