"""What is known of a backup: its manifest, written once, and its record, which grows with proofs.

`manifest.json` never changes after the backup is published and carries a digest of itself.
`record.json` beside it holds verifications, drills and whether the backup is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from console.backup import jsonfile
from queries.backup import (
    DatabaseProperties,
    DatabaseSetting,
    DumpedObject,
    InstalledExtension,
    RoleInUse,
)

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
RECORD = "record.json"
OBJECTS = "objects.json"
_KEPT_PROOFS = 50


class Tier(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    PRE_DEPLOYMENT = "pre-deployment"
    MANUAL = "manual"


class Verdict(StrEnum):
    """An exit code of 0 alone is never a pass."""

    PASS = "pass"
    FAIL = "fail"
    COULD_NOT_VERIFY = "could not verify"


class FileKind(StrEnum):
    CUSTOM = "custom"
    DIRECTORY = "directory"
    """One file of a directory archive; its toc.dat stands for the whole."""
    TAR = "tar"
    PLAIN = "plain"
    SCHEMA = "schema"
    ROLES = "roles"
    OBJECTS = "objects"


@dataclass(frozen=True, slots=True)
class BackupFile:
    name: str
    """Relative to the backup's directory."""
    kind: FileKind
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table's rows, counted exactly in the dump's own snapshot."""

    schema: str
    name: str
    rows: int | None
    """None when not counted."""
    kind: str = "r"
    """r table, m materialized view."""


@dataclass(frozen=True, slots=True)
class Manifest:
    schema_version: int
    id: str
    tier: Tier
    note: str
    target: str
    database: str
    place: str
    """Host and port; '' for an adopted file."""
    origin: str
    """created, or adopted from PATH."""
    started_at: datetime
    taken_at: datetime
    """When the snapshot was taken, by the server's clock."""
    seconds: float
    server_version: str
    server_version_number: int
    tools_version: str
    wal_position: str | None
    in_recovery: bool
    compression: str
    database_bytes: int | None
    files: tuple[BackupFile, ...]
    toc_entries: int | None
    """Entries in the archive's table of contents."""
    data_entries: int | None
    """Of these, the ones that hold a table's rows."""
    tables: tuple[TableRows, ...] | None = None
    """None when unknown (an adopted file)."""
    properties: DatabaseProperties | None = None
    settings: tuple[DatabaseSetting, ...] = ()
    extensions: tuple[InstalledExtension, ...] = ()
    roles: tuple[RoleInUse, ...] = ()
    migration: str | None = None
    """The newest applied Prisma migration."""
    warnings: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def server_major(self) -> int:
        return self.server_version_number // 10000

    @property
    def archive(self) -> BackupFile | None:
        """What a restore starts from: the custom or directory archive, else the plain SQL."""
        kinds = (FileKind.CUSTOM, FileKind.DIRECTORY, FileKind.TAR, FileKind.PLAIN)
        for kind in kinds:
            for file in self.files:
                if file.kind is kind and (kind is not FileKind.DIRECTORY or _is_toc(file)):
                    return file
        return None

    @property
    def row_total(self) -> int | None:
        if self.tables is None or any(table.rows is None for table in self.tables):
            return None
        return sum(table.rows or 0 for table in self.tables)


def _is_toc(file: BackupFile) -> bool:
    return file.name.endswith("/toc.dat")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a proof: what was asked and what came back."""

    what: str
    verdict: Verdict
    answer: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A verification, or a drill (then with the measured restore time)."""

    kind: str
    """verify or drill."""
    verdict: Verdict
    at: datetime
    seconds: float
    checks: tuple[Check, ...]
    place: str = ""
    """Where a drill restored to."""
    restore_seconds: float | None = None
    """From creating the database to the end of ANALYZE."""

    @property
    def reason(self) -> str:
        """The first check that is not a pass, in words; '' for a pass."""
        for check in self.checks:
            if check.verdict is self.verdict is not Verdict.PASS:
                return f"{check.what}: {check.answer}"
        return ""


@dataclass(frozen=True, slots=True)
class Copied:
    """How copying it to a store went the last time."""

    store: str
    at: datetime
    bytes: int = 0
    """As they are there: encrypted, where the store's settings say so."""
    problem: str = ""
    """Why there is no whole copy; '' when there is, read back and the same."""


@dataclass(frozen=True, slots=True)
class Record:
    held: bool = False
    proofs: tuple[Proof, ...] = ()
    """Oldest first."""
    copies: tuple[Copied, ...] = ()
    """One a store, by its name."""

    def with_copy(self, copy: Copied) -> Record:
        others = [other for other in self.copies if other.store != copy.store]
        return replace(self, copies=tuple(sorted((*others, copy), key=lambda one: one.store)))

    def with_proof(self, proof: Proof) -> Record:
        return replace(self, proofs=(*self.proofs, proof)[-_KEPT_PROOFS:])

    def newest(self, kind: str) -> Proof | None:
        return next((proof for proof in reversed(self.proofs) if proof.kind == kind), None)


def verdict_of(checks: Sequence[Check]) -> Verdict:
    """FAIL if any check fails; PASS only if there are checks and all pass."""
    found = {check.verdict for check in checks}
    if Verdict.FAIL in found:
        return Verdict.FAIL
    return Verdict.PASS if found == {Verdict.PASS} else Verdict.COULD_NOT_VERIFY


def proof(
    kind: str,
    checks: Sequence[Check],
    seconds: float,
    *,
    place: str = "",
    restore_seconds: float | None = None,
) -> Proof:
    at = datetime.now(UTC)
    return Proof(
        kind, verdict_of(checks), at, round(seconds, 3), tuple(checks), place, restore_seconds
    )


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Raises OSError."""
    jsonfile.write(directory / MANIFEST, jsonfile.signed(manifest))


def read_manifest(directory: Path) -> Manifest:
    """Raises OSError, or ValueError for a damaged manifest or one of a later version."""
    return manifest_from((directory / MANIFEST).read_bytes())


def manifest_from(content: bytes) -> Manifest:
    """The manifest in a file's content. Raises ValueError as `read_manifest` does."""
    found = jsonfile.unsigned(jsonfile.parsed(content), "manifest")
    if found.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"the manifest is of version {found.get('schema_version')}")
    return jsonfile.decode(found, Manifest)


def read_record(directory: Path) -> Record:
    """An absent record is an empty one. Raises OSError, ValueError."""
    path = directory / RECORD
    return jsonfile.decode(jsonfile.read(path), Record) if path.exists() else Record()


def write_record(directory: Path, record: Record) -> None:
    """Raises OSError."""
    jsonfile.write(directory / RECORD, jsonfile.encode(record))


def write_objects(directory: Path, objects: Sequence[DumpedObject]) -> None:
    """One line an object, beside the manifest. Raises OSError."""
    rows = [[thing.kind, thing.name, thing.state] for thing in objects]
    jsonfile.write(directory / OBJECTS, rows)


def read_objects(directory: Path) -> tuple[DumpedObject, ...] | None:
    """None when the backup has none (an adopted one). Raises OSError, ValueError."""
    path = directory / OBJECTS
    if not path.exists():
        return None
    rows = jsonfile.decode(jsonfile.read(path), tuple[tuple[str, ...], ...])
    if any(len(row) != 3 for row in rows):
        raise ValueError("the list of objects is damaged")
    return tuple(DumpedObject(*row) for row in rows)
