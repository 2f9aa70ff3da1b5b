"""WAL by its names: positions (LSN), segments, and the histories of timelines.

A segment's file name is three times eight hexadecimal digits: timeline, and the two halves of its
number (PostgreSQL, xlog_internal.h).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")
HISTORY_NAME = re.compile(r"([0-9A-F]{8})\.history")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_PAGE = 8192
_LONG_HEADER, _SHORT_HEADER = 40, 24


def lsn(text: str) -> int:
    """'0/3000028' as a number of bytes. Raises ValueError."""
    match = _LSN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is no WAL position such as 0/3000028")
    return (int(match[1], 16) << 32) + int(match[2], 16)


def lsn_text(position: int) -> str:
    """
    >>> lsn_text(lsn("1/A0000028"))
    '1/A0000028'
    """
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def reached(flushed: int, wanted: int) -> bool:
    """Whether everything before `wanted` is flushed.

    The next record's place is told after the page header that it will need; an idle server has
    flushed only up to the page's beginning.
    """
    into_page = wanted % _PAGE
    beginning = wanted - into_page if into_page in (_LONG_HEADER, _SHORT_HEADER) else wanted
    return flushed >= beginning


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One segment of one timeline; `bytes` is the server's wal_segment_size."""

    number: int
    timeline: int
    bytes: int

    @property
    def start(self) -> int:
        return self.number * self.bytes

    @property
    def end(self) -> int:
        return self.start + self.bytes

    @property
    def name(self) -> str:
        high, low = divmod(self.number, (1 << 32) // self.bytes)
        return f"{self.timeline:08X}{high:08X}{low:08X}"


def segment_of(name: str, size: int) -> Segment:
    """The segment of a file name. Raises ValueError for any other name."""
    if SEGMENT_NAME.fullmatch(name) is None:
        raise ValueError(f"'{name}' is no WAL segment's name")
    timeline, high, low = (int(name[at : at + 8], 16) for at in (0, 8, 16))
    per_high = (1 << 32) // size
    if low >= per_high:
        raise ValueError(f"'{name}' is no name of a segment of {size} bytes")
    return Segment(high * per_high + low, timeline, size)


@dataclass(frozen=True, slots=True)
class History:
    """A timeline and those it branched off from, oldest first."""

    timeline: int
    parents: tuple[tuple[int, int], ...] = ()
    """(timeline, the position at which it was left)."""

    def timeline_at(self, position: int) -> int:
        """The timeline that the byte at `position` belongs to."""
        for parent, left_at in self.parents:
            if position < left_at:
                return parent
        return self.timeline

    def segments(self, start: int, end: int, size: int) -> list[Segment]:
        """Every segment of [start, end), each on the newest timeline that has begun in it."""
        numbers = range(start // size, (max(end, start + 1) - 1) // size + 1)
        return [
            Segment(number, self.timeline_at((number + 1) * size - 1), size) for number in numbers
        ]


def parse_history(timeline: int, text: str) -> History:
    """The content of NNNNNNNN.history. Raises ValueError when it is damaged."""
    parents: list[tuple[int, int]] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(None, 2)
        if not words:
            continue
        if len(words) < 2 or not words[0].isdigit():
            raise ValueError(f"the history of timeline {timeline} is damaged")
        parents.append((int(words[0]), lsn(words[1])))
    _require_ascending(timeline, parents)
    return History(timeline, tuple(parents))


def _require_ascending(timeline: int, parents: Sequence[tuple[int, int]]) -> None:
    numbers = [parent for parent, _ in parents] + [timeline]
    positions = [left_at for _, left_at in parents]
    if numbers != sorted(set(numbers)) or positions != sorted(positions) or not parents:
        raise ValueError(f"the history of timeline {timeline} is damaged")
