"""Where base backups and WAL are kept, how, and for how long."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs

_SLOT = re.compile(r"[a-z0-9_]{1,63}")


def default_directory() -> Path:
    return platformdirs.user_data_path("medianest-console") / "pitr"


@dataclass(frozen=True, slots=True)
class PitrSettings:
    """The section `pitr`: point-in-time recovery."""

    directory: Path = field(default_factory=default_directory)
    """Base backups and WAL, by target."""
    slot: str = "medianest_console"
    """The physical replication slot that makes the server keep what is not received yet."""
    compression: Literal["gzip", "none"] = "gzip"
    """Of whole WAL segments; the one being received is always plain."""
    keep_days: int = 7
    """How far back one can go at least."""
    keep_bases: int = 2
    """The newest verified base backups that stay whatever their age."""
    base_every_days: int = 1
    """How old the newest base backup may get before another is due."""
    side_directory: Path | None = None
    """Where side servers live; beside the archive when left out."""
    archives: dict[str, Path] = field(default_factory=dict)
    """Existing WAL archives that are read instead, by target: a directory, or a pgBackRest repo."""

    def __post_init__(self) -> None:
        if _SLOT.fullmatch(self.slot) is None:
            raise ValueError("slot of lower-case letters, digits and _")
        if min(self.keep_days, self.keep_bases, self.base_every_days) < 1:
            raise ValueError("days and counts of at least 1")
