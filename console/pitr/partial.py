"""The segment that is being received: how far it can be read, and what is in it so far."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from console.backup.store import explained
from console.errors import CommandFailed
from console.pitr.archive import Archive
from console.pitr.names import lsn_text, reached
from console.pitr.reading import read_segment, sealed_before
from console.pitr.segment import PAGE, Damaged, check_pages, read_whole
from console.pitr.stretch import Stretch, WalFile
from console.pitr.waldump import Scan
from console.tools import Tools

_LONG_HEADER, _SHORT_HEADER = 40, 24
_ALIGNED = 8


@dataclass(frozen=True, slots=True)
class Partial:
    found: Scan
    valid_end: int
    """Every record before it is whole."""
    content: bytes
    page_problem: str
    """The first page whose header is wrong; behind the end all of them are."""

    def problem_before(self, wanted: int) -> str:
        """What is wrong with WAL that was received up to `wanted`; '' when nothing is."""
        if reached(self.valid_end, wanted) or self._straddles(wanted):
            return ""
        why = self.page_problem or self.found.problem or "nothing follows"
        return (
            f"it can be read up to {lsn_text(self.valid_end)}, but WAL up to {lsn_text(wanted)}"
            f" was received ({why})"
        )

    def _straddles(self, wanted: int) -> bool:
        """Whether the record after the last whole one had not fully come when `wanted` had."""
        start = self.valid_end + (_header(self.valid_end, len(self.content)) if
                                  self.valid_end % PAGE == 0 else 0)  # fmt: skip
        offset = start % len(self.content)
        if offset + 4 > len(self.content) or start >= wanted:
            return start >= wanted
        (length,) = struct.unpack_from("<I", self.content, offset)
        return length > 0 and record_end(start, length, len(self.content)) > wanted


async def read_partial(archive: Archive, stretch: Stretch, file: WalFile, tools: Tools) -> Partial:
    """Read an unfinished segment to its last whole record.

    Raises CommandFailed when the disk refuses or pg_waldump cannot be run.
    """
    found = await read_segment(archive, stretch, file, tools)
    with explained(file.path):
        content = stretch.retrying(file, _read).ljust(stretch.segment_bytes, b"\0")
    before = sealed_before(stretch, file.segment)
    end = file.segment.start
    if found.last is not None and found.last_bytes:
        end = max(end, record_end(found.last, found.last_bytes, stretch.segment_bytes))
    elif before is not None and before.last is not None:
        end = max(end, before.last)
    return Partial(found, end, content, _page_problem(stretch, file, content, end))


def _read(file: WalFile) -> bytes:
    if file.partial:
        return file.path.read_bytes()
    try:
        return read_whole(file.path, file.segment.bytes)
    except Damaged as problem:
        raise CommandFailed(
            f"WAL {file.segment.name} cannot be read: {problem}.",
            "`pitr audit` reads all of the WAL.",
        ) from problem


def _page_problem(stretch: Stretch, file: WalFile, content: bytes, end: int) -> str:
    history = stretch.history(file.segment.timeline)
    if history is None:
        return f"the history of timeline {file.segment.timeline} is missing or damaged"
    try:
        check_pages(content, file.segment, stretch.identity, history, upto=end + 1)
    except Damaged as problem:
        return str(problem)
    return ""


def record_end(start: int, length: int, segment_bytes: int) -> int:
    """Where the next record can begin after one of `length` bytes at `start`.

    A record goes on behind the header of each page it crosses (PostgreSQL, xlogreader.c).
    """
    position, rest = start, length
    while True:
        room = PAGE - position % PAGE
        if rest <= room:
            position += rest
            return position + -position % _ALIGNED
        rest -= room
        position += room
        position += _header(position, segment_bytes)


def _header(position: int, segment_bytes: int) -> int:
    return _LONG_HEADER if position % segment_bytes == 0 else _SHORT_HEADER
