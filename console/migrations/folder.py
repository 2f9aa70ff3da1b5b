"""Prisma's folder of migrations: prisma/migrations/<stamp>_<name>/migration.sql."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from console.errors import ActionRefused
from console.target import Target

USUAL = Path("prisma/migrations")
SCRIPT = "migration.sql"
LOCK_FILE = "migration_lock.toml"


@dataclass(frozen=True)
class Migration:
    name: str
    """The directory's name, which is also its place in the order."""
    script: bytes

    @cached_property
    def checksums(self) -> frozenset[str]:
        """What Prisma may have recorded: SHA-256 of the file as it is, with LF and with CRLF."""
        unix = self.script.replace(b"\r\n", b"\n")
        variants = (self.script, unix, unix.replace(b"\n", b"\r\n"))
        digests = [hashlib.sha256(variant).digest() for variant in variants]
        # Early schema engines wrote each byte without its leading zero.
        short = ("".join(f"{byte:x}" for byte in digest) for digest in digests)
        return frozenset([digest.hex() for digest in digests] + list(short))

    def has_checksum(self, recorded: str) -> bool:
        return recorded.lower() in self.checksums


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path
    migrations: tuple[Migration, ...]
    """In the order Prisma applies them: that of their names."""
    provider: str | None = None
    """What migration_lock.toml names; None without that file."""
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(migration.name for migration in self.migrations)

    def until(self, name: str) -> Folder:
        """The migrations up to this one. Raises ActionRefused for a name it does not have."""
        if name not in self.names:
            known = ", ".join(self.names[-3:]) or "none"
            raise ActionRefused(
                f"There is no migration '{name}' in {self.path}.", f"The last ones are: {known}."
            )
        last = self.names.index(name)
        return Folder(self.path, self.migrations[: last + 1], self.provider, self.remarks)

    def script_of(self, name: str) -> str | None:
        """The migration's SQL as text; None for one it does not have."""
        for migration in self.migrations:
            if migration.name == name:
                return migration.script.decode("utf-8", errors="replace")
        return None

    def only(self, names: frozenset[str]) -> Folder:
        kept = tuple(one for one in self.migrations if one.name in names)
        return Folder(self.path, kept, self.provider, self.remarks)


def read_folder(path: Path) -> Folder:
    """Read every migration. Raises ActionRefused for a folder that is none, or not PostgreSQL's."""
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
        provider = _provider(path / LOCK_FILE)
        found, remarks = _migrations(entries)
    except OSError as error:
        raise ActionRefused(
            f"The migrations in {path} cannot be read ({error.strerror}).",
            "Name the folder that holds <stamp>_<name>/migration.sql, usually prisma/migrations.",
        ) from error
    if not found:
        raise ActionRefused(
            f"There is no <stamp>_<name>/migration.sql in {path}.",
            "Name the migrations folder itself, usually prisma/migrations.",
        )
    if provider is not None and provider not in ("postgresql", "postgres"):
        raise ActionRefused(
            f"{path / LOCK_FILE} says that these migrations are for {provider}.",
            "Name the folder of a PostgreSQL project.",
        )
    return Folder(path, tuple(found), provider, tuple(remarks))


def _migrations(entries: list[Path]) -> tuple[list[Migration], list[str]]:
    found, remarks = [], []
    for entry in entries:
        if not entry.is_dir():
            continue
        script = entry / SCRIPT
        if script.is_file():
            found.append(Migration(entry.name, script.read_bytes()))
        else:
            remarks.append(f"{entry.name} has no {SCRIPT}; Prisma refuses to deploy such a folder.")
    return found, remarks


def _provider(lock_file: Path) -> str | None:
    if not lock_file.is_file():
        return None
    text = lock_file.read_text(encoding="utf-8", errors="replace")
    found = re.search(r'^\s*provider\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return found[1] if found else None


def folder_of(target: Target, named: Path | None = None) -> Path:
    """The folder meant: one that is named, the target's own, prisma/migrations below us.

    Raises ActionRefused when there is none of them.
    """
    chosen = named or target.migrations
    if chosen is not None:
        return chosen.expanduser()
    if USUAL.is_dir():
        return USUAL
    raise ActionRefused(
        "No migrations folder is known.",
        "Name it with --migrations DIR, or as `migrations` of the target in the settings.",
    )
