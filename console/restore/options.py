"""What one restore is to do, written once when it begins; it holds no password."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from console.backup import jsonfile
from console.backup.store import explained
from console.errors import ActionRefused, CommandFailed
from console.restore.journal import OPTIONS
from console.restore.swap import Swap


@dataclass(frozen=True, slots=True)
class Hooks:
    """Commands run without a shell before the door closes and after it is open again."""

    before: str = ""
    after: str = ""
    timeout_seconds: float = 120.0


def words_of(command: str) -> tuple[str, ...]:
    """A hook's command in words, as a shell would cut it. Raises ActionRefused."""
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise ActionRefused(
            f"The hook `{command}` is not a command: {error}.", "Close its quotes."
        ) from error


@dataclass(frozen=True, slots=True)
class Options:
    id: str
    target: str
    """The target's name, under which its backups are kept."""
    place: str
    system_identifier: str
    """The cluster's own number: a resume elsewhere is refused."""
    database: str
    """The name that the restored database gets."""
    scratch: str
    """What it is called until then."""
    replaces: int | None
    """The OID of the database that has the name now; None when none has."""
    before: str
    """What that one is called afterwards; '' when there is none."""
    archive: str
    backup: str = ""
    """The published backup's directory; '' for a dump file without history."""
    jobs: int = 2
    owner: str = ""
    """Everything belongs to this role instead of its recorded owner; '' keeps the owners."""
    privileges: bool = True
    locale: str = ""
    """Instead of the recorded one; '' keeps it."""
    missing_roles: tuple[str, ...] = ()
    """To be created, without login."""
    safety: bool = True
    hooks: Hooks = field(default_factory=Hooks)
    patience_seconds: float = 20.0

    @property
    def stamp(self) -> str:
        return self.id.partition("-")[0]

    @property
    def mark(self) -> str:
        """The scratch database's comment, by which a later run knows it for its own."""
        return f"medianest-console restore {self.id}"

    @property
    def names(self) -> list[str]:
        """Databases that are renamed or dropped: not to be stood in meanwhile."""
        return [name for name in (self.database, self.scratch, self.before) if name]

    def swap_with(self, entering: int) -> Swap:
        """The cut-over, with the restored database's OID."""
        return Swap(self.database, entering, self.replaces, self.before)


def write_options(directory: Path, options: Options) -> None:
    """Raises CommandFailed."""
    with explained(directory):
        jsonfile.write(directory / OPTIONS, jsonfile.encode(options))


def read_options(directory: Path) -> Options:
    """Raises CommandFailed when they are missing or damaged."""
    try:
        return jsonfile.decode(jsonfile.read(directory / OPTIONS), Options)
    except (OSError, ValueError) as error:
        raise CommandFailed(
            f"The options of the restore in {directory} cannot be read: {error}.",
            "Look into the directory; the databases can be renamed and dropped by hand.",
        ) from error
