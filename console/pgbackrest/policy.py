"""Which stanza of pgBackRest holds a target's cluster, and how pgBackRest is run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_STANZA = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True)
class PgbackrestSettings:
    """One entry of `pgbackrest`: the stanza of a target's cluster, and how to ask for it."""

    stanza: str
    """Its name in pgBackRest's own configuration."""
    config: Path | None = None
    """pgBackRest's configuration file, when it is not where pgBackRest looks by itself."""
    command: tuple[str, ...] = ("pgbackrest",)
    """How pgBackRest is run: its path, or several words such as
    [docker, exec, -u, postgres, CONTAINER, pgbackrest] or [sudo, -n, -u, postgres, pgbackrest]."""
    user: str = "postgres"
    """The account it runs as where the console is root; not used with a command of several words.
    """

    def __post_init__(self) -> None:
        if _STANZA.fullmatch(self.stanza) is None:
            raise ValueError("a stanza of letters, digits, _ . and -")
        if not self.command or not all(self.command):
            raise ValueError("a command of at least one word")

    @property
    def is_ours(self) -> bool:
        """Whether it runs here and as us, so that what it writes is ours to use."""
        return len(self.command) == 1
