"""How long a restore should take: by a drill where one measured it, else by its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from console.backup.manifest import Verdict
from console.backup.store import Backup, Store
from console.errors import ConsoleError
from console.units import size

_BYTES_A_SECOND = 40_000_000
"""Database bytes restored in a second by an ordinary machine; a drill's own measure beats it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    seconds: float | None
    """None when nothing is known to expect it from."""
    basis: str
    """Where the expectation comes from, in words."""


def estimate(
    backup: Backup | None, expected_bytes: int | None, others: Sequence[Backup]
) -> Estimate:
    """The time of a restore: by its own drill, by the newest drill among `others` scaled with the
    databases' sizes, else guessed from `expected_bytes` of database.
    """
    drill = backup.drill if backup is not None else None
    if drill is not None and drill.verdict is Verdict.PASS and drill.restore_seconds:
        return Estimate(drill.restore_seconds, f"as measured by the drill of {drill.at:%Y-%m-%d}")
    for other in others:
        seconds, measured = _drilled(other), _bytes_of(other)
        if seconds and measured and expected_bytes:
            scaled = max(seconds * expected_bytes / measured, 0.1)
            return Estimate(scaled, f"by the drill of {other.id}, scaled with the size")
    if expected_bytes:
        guess = max(expected_bytes / _BYTES_A_SECOND, 1.0)
        return Estimate(guess, f"a guess from {size(expected_bytes)}; a drill would measure it")
    return Estimate(None, "nothing is known to expect it from")


def siblings(backup: Backup | None) -> Sequence[Backup]:
    """The backups kept beside this one, the newest first; none when they cannot be read."""
    if backup is None:
        return ()
    try:
        return Store(backup.path.parent.parent).backups(unquote(backup.path.parent.name))
    except ConsoleError:
        return ()


def _drilled(backup: Backup) -> float | None:
    drill = backup.drill
    passed = drill is not None and drill.verdict is Verdict.PASS
    return drill.restore_seconds if drill is not None and passed else None


def _bytes_of(backup: Backup) -> int | None:
    return backup.manifest.database_bytes if backup.manifest else None
