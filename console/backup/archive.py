"""Dump files as they are: what kind of file, what pg_restore finds in it, what a full read counts.

Nothing here believes a file's name or an exit code alone.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from console.backup.manifest import FileKind
from console.errors import ActionRefused, CommandFailed
from console.process import Feed, Finished, output_of, run
from console.tools import Tools

CHUNK = 1024 * 1024
_MAGIC = b"PGDMP"
_TOC_LINE = re.compile(r"^(\d+); \d+ \d+ (.+)$")
_HEADER_LINE = re.compile(r"^;\s+(.+?): (.*)$")
_ENTRY_COUNT = re.compile(r"^;\s+TOC Entries: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a dump file is, judged by its first bytes."""

    kind: FileKind
    format_version: tuple[int, int] | None = None
    """A custom or directory archive's format, e.g. (1, 14)."""
    gzipped: bool = False


def identify(path: Path) -> Opened:
    """What a dump is. Raises ActionRefused when it is none, OSError when it cannot be read."""
    if path.is_dir():
        head = _head(path / "toc.dat")
        if head.startswith(_MAGIC):
            return Opened(FileKind.DIRECTORY, (head[5], head[6]))
        raise ActionRefused(f"{path} is no directory archive: its toc.dat is not one.", _WHAT)
    head = _head(path)
    if head.startswith(_MAGIC) and len(head) > 7:
        return Opened(FileKind.CUSTOM, (head[5], head[6]))
    if head[257:262] == b"ustar" and head.startswith(b"toc.dat"):
        return Opened(FileKind.TAR)
    if head.startswith(b"\x1f\x8b"):
        return Opened(FileKind.PLAIN, gzipped=True)
    if b"-- PostgreSQL database dump" in head:
        return Opened(FileKind.PLAIN)
    raise ActionRefused(f"{path} is not a dump that pg_dump wrote.", _WHAT)


_WHAT = "A custom, directory or tar archive or plain SQL (also gzip) of pg_dump is expected."


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an archive's table of contents."""

    dump_id: int
    text: str
    """Kind, schema, name and owner, as pg_restore lists them."""
    line: str

    @property
    def is_data(self) -> bool:
        return self.text.startswith("TABLE DATA ")


@dataclass(frozen=True, slots=True)
class Contents:
    """An archive's table of contents, as `pg_restore --list` tells it."""

    header: dict[str, str]
    """dbname, Dumped from database version, Dumped by pg_dump version, Compression ..."""
    declared: int
    """The count in the header; it includes entries that are not listed."""
    entries: tuple[Entry, ...]

    @property
    def data_entries(self) -> int:
        return sum(entry.is_data for entry in self.entries)


async def read_contents(tools: Tools, archive: Path) -> Contents:
    """List an archive. Raises CommandFailed when pg_restore does not read it."""
    named, feed = named_or_fed(tools, archive)
    with tools.command(None, "pg_restore", "--list", *named) as command:
        finished, text = await output_of(command, feed)
    if finished.returncode != 0:
        raise finished.failure(f"{archive.name} is not readable")
    found = _ENTRY_COUNT.search(text)
    header, entries = {}, []
    for line in text.splitlines():
        if (match := _TOC_LINE.match(line)) is not None:
            entries.append(Entry(int(match[1]), match[2], line))
        elif (match := _HEADER_LINE.match(line)) is not None:
            header[match[1]] = match[2]
    return Contents(header, int(found[1]) if found else 0, tuple(entries))


async def read_fully(
    tools: Tools, archive: Path, consume: Callable[[BinaryIO], None], *options: str
) -> Finished:
    """Have pg_restore turn the archive into SQL, which `consume` reads in a thread."""
    named, feed = named_or_fed(tools, archive)
    with tools.command(None, "pg_restore", *options, "--file=-", *named) as command:
        return await run(command, consume=consume, feed=feed)


def named_or_fed(tools: Tools, archive: Path) -> tuple[tuple[str, ...], Feed | None]:
    """How pg_restore gets an archive: by its path, or in a container through its input.

    Raises ActionRefused for a directory archive and tools in a container.
    """
    if not tools.in_container:
        return (str(archive),), None
    if archive.is_dir():
        raise ActionRefused(
            f"The tools in {tools.place} cannot read a directory archive of this machine.",
            "Install the PostgreSQL client on this machine.",
        )

    def feed(stream: BinaryIO) -> None:
        with archive.open("rb") as file:
            shutil.copyfileobj(file, stream, CHUNK)

    return (), feed


_NAME = rb'(?:"(?:[^"]|"")+"|[^\s".(]+)'
_COPY = re.compile(rb"\nCOPY (" + _NAME + rb")\.(" + _NAME + rb") [^\n]*FROM stdin;\n")
_COPY_END = b"\\.\n"
_COMPLETE = re.compile(rb"\n-- PostgreSQL database dump complete\n--\n")
_RESTRICT = re.compile(rb"\n\\restrict (\S+)\n")
_UNRESTRICT = re.compile(rb"\n\\unrestrict (\S+)\n")
_LINE_START = len(_COPY_END) + 1
"""Bytes of a line that tell whether it can still become the end of the rows."""

_WINDOW = 128 * 1024
"""Bytes kept between pieces outside of rows: more than the longest line that matters."""


@dataclass(slots=True)
class SqlReader:
    """Reads pg_dump's SQL in pieces: counts the rows of each COPY and sees whether it ends."""

    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    """By schema and table."""
    length: int = 0
    """Bytes read."""
    completed: bool = False
    restrict: bytes = b""
    unrestrict: bytes = b""
    _rest: bytes = b"\n"
    _table: tuple[str, str] | None = None

    def feed(self, piece: bytes) -> None:
        self.length += len(piece)
        if self._table is not None and b"\\" not in piece and not self._rest.startswith(b"\\"):
            self._only_rows(piece, self._table)
            return
        data, self._rest = self._rest + piece, b""
        while data:
            data = self._outside(data) if self._table is None else self._rows(data, self._table)

    def _only_rows(self, piece: bytes, table: tuple[str, str]) -> None:
        """Most of a large dump: no backslash, so no end of rows, and nothing need be copied."""
        self.rows[table] += piece.count(b"\n")
        begun = piece.rfind(b"\n") + 1
        kept = piece[begun : begun + _LINE_START]
        self._rest = kept if begun else (self._rest + kept)[:_LINE_START]

    def _rows(self, data: bytes, table: tuple[str, str]) -> bytes:
        """Count rows until the copy's end; what follows it, or nothing when it is not here."""
        start = 0 if data.startswith(_COPY_END) else data.find(b"\n" + _COPY_END) + 1
        if start > 0 or data.startswith(_COPY_END):
            self.rows[table] += data.count(b"\n", 0, start)
            self._table = None
            return b"\n" + data[start + len(_COPY_END) :]
        whole = data.rfind(b"\n") + 1
        self.rows[table] += data.count(b"\n", 0, whole)
        # The last line may be the beginning of the end; of a longer one, this much tells it is not.
        self._rest = data[whole : whole + _LINE_START]
        return b""

    def _outside(self, data: bytes) -> bytes:
        match = _COPY.search(data)
        self._notice(data if match is None else data[: match.end()])
        if match is not None:
            self._table = (_unquoted(match[1]), _unquoted(match[2]))
            self.rows.setdefault(self._table, 0)
            return data[match.end() :]
        keep = max(data.rfind(b"\n", 0, max(len(data) - _WINDOW, 1)), 0)
        self._rest = data[keep:]
        return b""

    def _notice(self, text: bytes) -> None:
        if not self.restrict and (found := _RESTRICT.search(text)):
            self.restrict = found[1]
        if found := _UNRESTRICT.search(text):
            self.unrestrict = found[1]
        if _COMPLETE.search(text):
            self.completed = True

    def consume(self, stream: BinaryIO) -> None:
        while piece := stream.read(CHUNK):
            self.feed(piece)

    @property
    def problem(self) -> str:
        """Why the text is not a whole dump; '' when it is."""
        if not self.length:
            return "it is empty"
        if self._table is not None:
            return f"it ends inside the rows of {'.'.join(self._table)}"
        if not self.completed:
            return "the closing line 'PostgreSQL database dump complete' is missing"
        if self.restrict != self.unrestrict:
            return "the \\restrict and \\unrestrict keys differ"
        return ""


def _unquoted(name: bytes) -> str:
    if name.startswith(b'"'):
        name = name[1:-1].replace(b'""', b'"')
    return name.decode("utf-8", "replace")


def read_plain(path: Path, *, gzipped: bool) -> tuple[SqlReader, str]:
    """Read plain SQL to its end; what it held, and its problem ('' for none). Raises OSError."""
    reader = SqlReader()
    try:
        with gzip.open(path, "rb") if gzipped else path.open("rb") as stream:
            reader.consume(stream)  # type: ignore[arg-type]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return reader, f"the gzip data is damaged: {error}"
    return reader, reader.problem


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_readable_format(tools: Tools, opened: Opened, name: str) -> None:
    """Raises CommandFailed when the archive's format is newer than pg_restore."""
    version = opened.format_version
    if version is not None and version > tools.newest_archive:
        raise CommandFailed(
            f"{name} is of archive format {version[0]}.{version[1]}; pg_restore {tools.version}"
            f" reads up to {tools.newest_archive[0]}.{tools.newest_archive[1]}.",
            "Use a pg_restore of the version that made it, or newer.",
        )
