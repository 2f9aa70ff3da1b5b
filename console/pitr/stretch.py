"""WAL without a gap by intention: one directory of segments, and the ledger of its whole ones."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from console.backup import jsonfile
from console.backup.store import explained
from console.pitr.names import HISTORY_NAME, History, Segment, parse_history, segment_of
from console.pitr.segment import Damaged, Identity, check_head, head, unpack

T = TypeVar("T")

_FILE = re.compile(r"([0-9A-F]{24})(?:-[0-9a-f]{40})?(\.partial)?(\.gz|\.zst|\.lz4|\.bz2)?")
"""PostgreSQL's own names, and pgBackRest's with a hash."""

_PGBACKREST_HISTORY = re.compile(r"([0-9A-F]{8})\.history(?:\.gz)?")


@dataclass(frozen=True, slots=True)
class WalFile:
    segment: Segment
    path: Path
    bytes: int
    partial: bool

    @property
    def readable(self) -> bool:
        """Plain or gzip; other packings are not unpacked here."""
        return self.path.suffix not in (".zst", ".lz4", ".bz2")


@dataclass(frozen=True, slots=True)
class Notable:
    """An event of WAL; its table is named by its file, which the archive has a name for."""

    kind: str
    lsn: int
    at: datetime | None
    xid: int
    name: str
    rows: int
    database: int = 0
    file: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """Rows deleted so far by a transaction that had not ended with the segment."""

    xid: int
    database: int
    file: int
    rows: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """A whole segment, as it was when it was read to its end for the first time."""

    name: str
    sha256: str
    last: int | None
    """Where the last record that is whole with this segment begins; None when there is none."""
    transactions: int
    first_at: datetime | None
    """The earliest end of a transaction in it."""
    last_at: datetime | None
    """The latest."""
    sealed_at: datetime
    first_xid: int = 0
    """The lowest transaction that ends in it; 0 when none does."""
    last_xid: int = 0
    notable: tuple[Notable, ...] = ()
    pending: tuple[Pending, ...] = ()
    problem: str = ""
    """What pg_waldump could not read; '' for a good segment."""


@dataclass(frozen=True)
class Stretch:
    directory: Path
    ledger_path: Path
    number: int
    identity: Identity
    foreign: bool = False
    """It is somebody else's archive, only read."""

    @property
    def segment_bytes(self) -> int:
        return self.identity.bytes

    @cached_property
    def files(self) -> dict[Segment, WalFile]:
        """Every segment that is there; whole before partial, and the packed before the plain."""
        found: dict[Segment, WalFile] = {}
        for path in self._paths():
            file = self._file(path)
            if file is not None:
                known = found.get(file.segment)
                if known is None or _preferred(file) > _preferred(known):
                    found[file.segment] = file
        return dict(sorted(found.items()))

    def _paths(self) -> list[Path]:
        with explained(self.directory):
            if not self.directory.is_dir():
                return []
            if not self.foreign:
                return list(self.directory.iterdir())
            return [
                Path(root, name) for root, _, names in os.walk(self.directory) for name in names
            ]

    def _file(self, path: Path) -> WalFile | None:
        match = _FILE.fullmatch(path.name)
        if match is None:
            return None
        try:
            segment = segment_of(match[1], self.segment_bytes)
            size = path.stat().st_size
        except (ValueError, FileNotFoundError):
            return None
        return WalFile(segment, path, size, bool(match[2]))

    @cached_property
    def histories(self) -> dict[int, History]:
        """Timelines by number, from the history files; the first needs none.

        A damaged history is left out, which makes its timeline unknown.
        """
        found = {1: History(1)}
        for path in self._paths():
            match = HISTORY_NAME.fullmatch(path.name) or _PGBACKREST_HISTORY.fullmatch(path.name)
            if match is None:
                continue
            number = int(match[1], 16)
            try:
                found[number] = parse_history(number, _text(path))
            except (OSError, ValueError, Damaged):
                continue
        return found

    def history(self, timeline: int) -> History | None:
        return self.histories.get(timeline)

    @cached_property
    def ledger(self) -> dict[str, Sealed]:
        """What is known of each whole segment, by its name; a torn last line is passed over."""
        found: dict[str, Sealed] = {}
        if not self.ledger_path.exists():
            return found
        with explained(self.ledger_path):
            lines = self.ledger_path.read_text(encoding="utf-8").splitlines()
        for line in lines:
            sealed = _decoded(line)
            if sealed is not None:
                found[sealed.name] = sealed
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer of the ledger at a time."""
        with explained(self.ledger_path), self.ledger_path.with_suffix(".lock").open("a") as held:
            os.chmod(held.fileno(), 0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def seal(self, sealed: Sealed) -> None:
        """Write a line, durably. Raises CommandFailed."""
        line = _encoded(sealed)
        with self._locked():
            descriptor = os.open(self.ledger_path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                # A line that a crash has torn must not swallow this one.
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def unseal(self, names: set[str]) -> None:
        """Forget segments that retention removes. Raises CommandFailed."""
        partial = self.ledger_path.with_name(self.ledger_path.name + ".partial")
        with self._locked():
            kept = [sealed for name, sealed in self.fresh().ledger.items() if name not in names]
            with partial.open("wb") as file:
                os.chmod(file.fileno(), 0o600)
                file.writelines(map(_encoded, kept))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.ledger_path)
            jsonfile.sync_directory(self.ledger_path.parent)

    def fresh(self) -> Stretch:
        """The same directory, to be read again."""
        return Stretch(self.directory, self.ledger_path, self.number, self.identity, self.foreign)

    def retrying(self, file: WalFile, read: Callable[[WalFile], T]) -> T:
        """Read a file; one that was finished or packed meanwhile is found under its new name."""
        try:
            return read(file)
        except FileNotFoundError:
            again = self.fresh().files.get(file.segment)
            if again is None:
                raise
            return read(again)

    def head_problem(self, file: WalFile) -> str:
        """What is wrong with a file's size or first page; '' when nothing is."""
        history = self.history(file.segment.timeline)
        if not file.readable:
            return f"it is packed as {file.path.suffix}, which is not read here"
        if history is None:
            return f"the history of timeline {file.segment.timeline} is missing or damaged"
        plain = file.path.suffix != ".gz"
        if plain and not file.partial and file.bytes != self.segment_bytes:
            return f"it has {file.bytes} bytes instead of {self.segment_bytes}"
        try:
            page = self.retrying(file, lambda there: head(there.path))
            if file.partial and not any(page[:20]):
                return ""  # only just begun
            check_head(page, file.segment, self.identity, history)
        except Damaged as problem:
            return str(problem)
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        return ""


def _preferred(file: WalFile) -> tuple[bool, bool]:
    return (not file.partial, file.path.suffix == ".gz")


def _text(path: Path) -> str:
    if path.suffix == ".gz":
        return unpack(path, 1 << 20).decode("utf-8", "replace")
    return path.read_text(encoding="utf-8", errors="replace")


def _encoded(sealed: Sealed) -> bytes:
    return jsonfile.canonical(jsonfile.encode(sealed)) + b"\n"


def _decoded(line: str) -> Sealed | None:
    try:
        return jsonfile.decode(json.loads(line), Sealed)
    except ValueError:
        return None
