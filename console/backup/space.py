"""How much room a backup needs and whether the disk has it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from console.backup.policy import BackupSettings
from console.backup.store import Backup, explained
from console.errors import ActionRefused, CommandFailed
from console.units import size

_MB = 1024 * 1024
_FIRST_RATIO = {"none": 0.9, "gzip": 0.35, "zstd": 0.35, "lz4": 0.5}
"""Archive bytes a database byte, for mixed rows and indexes, until a backup has told better."""
_MARGIN = 1.2


def expected_bytes(database_bytes: int, earlier: Sequence[Backup], settings: BackupSettings) -> int:
    """What the next backup will take: the last one's share of its database, else a rule of thumb.

    `earlier` is the newest first.
    """
    for backup in earlier:
        manifest = backup.manifest
        if manifest is None or not manifest.database_bytes:
            continue
        if manifest.compression == settings.compression:
            return int(database_bytes * manifest.bytes / manifest.database_bytes)
    method = settings.compression.partition(":")[0]
    # An empty database is 7 MB of catalog, none of which is dumped.
    return int(max(database_bytes - 7 * _MB, _MB) * _FIRST_RATIO[method])


def require(directory: Path, expected: int, keep_free_mb: int) -> None:
    """Raises ActionRefused when `expected` bytes and a margin do not fit beside what stays free."""
    free = free_bytes(directory)
    needed = int(expected * _MARGIN) + keep_free_mb * _MB
    if free < needed:
        raise ActionRefused(
            f"The backup needs about {size(int(expected * _MARGIN))} and {size(keep_free_mb * _MB)}"
            f" stay free, but the disk of {directory.parent} has {size(free)} left.",
            "Free some disk space, prune old backups, or choose a directory on another disk.",
        )


def require_left(directory: Path, keep_free_mb: int) -> None:
    """Raises CommandFailed when less than `keep_free_mb` MiB are left."""
    free = free_bytes(directory)
    if free < keep_free_mb * _MB:
        raise CommandFailed(
            f"The backup was stopped: the disk of {directory.parent} has only {size(free)} left.",
            "Free some disk space, prune old backups, or choose a directory on another disk.",
        )


def free_bytes(path: Path) -> int:
    with explained(path):
        return shutil.disk_usage(path).free


def used_bytes(directory: Path) -> int:
    """Bytes of the files below a directory; those that vanish meanwhile are left out."""
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue
    return total
