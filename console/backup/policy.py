"""The settings of backups: where, in which formats, how long kept, how often made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs

_COMPRESSION = re.compile(r"none|(gzip|zstd|lz4)(?::(\d{1,2}))?")

Format = Literal["custom", "directory", "plain", "schema"]


@dataclass(frozen=True, slots=True)
class Retention:
    """How long verified backups are kept; only whole days and counts."""

    daily_days: int = 7
    """Days a backup of the tier daily is kept."""
    weekly_days: int = 30
    """Days a backup of the tier weekly is kept."""
    monthly_days: int = 90
    """Days a backup of the tier monthly is kept."""
    pre_deployment_count: int = 5
    """The newest backups of the tier pre-deployment that are kept."""
    keep_at_least: int = 3
    """The newest verified backups of a target that stay whatever their age."""

    def __post_init__(self) -> None:
        if min(self.daily_days, self.weekly_days, self.monthly_days) < 1:
            raise ValueError("at least 1 day for each tier")
        if min(self.pre_deployment_count, self.keep_at_least) < 1:
            raise ValueError("counts of at least 1")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When `backup run-due` makes one; a missed run is made up for once."""

    tiers: tuple[Literal["daily", "weekly", "monthly"], ...] = ("daily", "weekly", "monthly")
    """The tiers that run-due makes."""
    hour: int = 2
    """The hour of the day (UTC) from which a day's backup is due."""

    def __post_init__(self) -> None:
        if not 0 <= self.hour <= 23:
            raise ValueError("hour from 0 to 23")


def default_directory() -> Path:
    return platformdirs.user_data_path("medianest-console") / "backups"


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """The section `backups` of the settings file."""

    directory: Path = field(default_factory=default_directory)
    """Where backups are written and looked for."""
    formats: tuple[Format, ...] = ("custom", "schema")
    """custom or directory is the archive; plain (gzip) and schema are derived from it."""
    compression: str = "gzip:9"
    """gzip:N, none, or where the server's tools have it zstd:N and lz4:N."""
    jobs: int = 2
    """Parallel sessions of a restore, and of a directory archive's dump."""
    count_rows_below_gb: float = 20.0
    """Count every table's rows in the dump's snapshot when the tables are smaller than this."""
    keep_free_mb: int = 256
    """A run stops cleanly before the disk has less than this left."""
    role_passwords: bool = True
    """Keep the roles' password hashes where the role that backs up may read them."""
    retention: Retention = field(default_factory=Retention)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        match = _COMPRESSION.fullmatch(self.compression)
        if match is None or (match[1] == "gzip" and int(match[2] or 6) not in range(1, 10)):
            raise ValueError("compression as gzip:1 to gzip:9, zstd:N, lz4:N or none")
        if not 1 <= self.jobs <= 64:
            raise ValueError("jobs from 1 to 64")
        if self.keep_free_mb < 0 or self.count_rows_below_gb < 0:
            raise ValueError("sizes of 0 or more")
        if "custom" in self.formats and "directory" in self.formats:
            raise ValueError("either custom or directory among formats")

    @property
    def archive_format(self) -> Literal["custom", "directory"]:
        return "directory" if "directory" in self.formats else "custom"
