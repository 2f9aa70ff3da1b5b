"""One WAL segment's file: unpacked, hashed, and its page headers compared with its name.

Formats as in PostgreSQL's xlog_internal.h: every 8 kB page begins with magic, info, timeline and
its own address; the first page also has the system identifier and the segment's size.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from console.pitr.names import History, Segment, lsn_text

PAGE = 8192
_SHORT = struct.Struct("<HHIQI")
_LONG = struct.Struct("<HHIQI4xQII")
_LONG_INFO = 0x0002
_MAGIC_BY_MAJOR = {13: 0xD106, 14: 0xD10D, 15: 0xD110, 16: 0xD113, 17: 0xD116, 18: 0xD118}
"""XLOG_PAGE_MAGIC of each major release."""

_CHUNK = 1 << 20


class Damaged(Exception):
    """What is wrong with a segment's content, in words."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a segment of one server must carry."""

    system_identifier: int
    major: int
    bytes: int


def read_whole(path: Path, size: int) -> bytes:
    """A complete segment's content. Raises Damaged, or OSError."""
    content = unpack(path, size + 1) if path.suffix == ".gz" else path.read_bytes()
    if len(content) != size:
        raise Damaged(f"it has {len(content)} bytes instead of {size}")
    return content


def unpack(path: Path, limit: int) -> bytes:
    """Up to `limit` bytes of a gzip file. Raises Damaged when it is cut off or its CRC is wrong."""
    unpacking = zlib.decompressobj(wbits=31)
    parts, got = [], 0
    try:
        with path.open("rb") as file:
            while got < limit and not unpacking.eof and (chunk := file.read(_CHUNK)):
                part = unpacking.decompress(chunk, limit - got)
                parts.append(part)
                got += len(part)
                while unpacking.unconsumed_tail and got < limit:
                    part = unpacking.decompress(unpacking.unconsumed_tail, limit - got)
                    parts.append(part)
                    got += len(part)
    except zlib.error as error:
        raise Damaged(f"it cannot be unpacked ({error})") from error
    if got < limit and not unpacking.eof:
        raise Damaged("it is cut off")
    return b"".join(parts)


def head(path: Path) -> bytes:
    """The first page, cheaply. Raises Damaged, or OSError."""
    if path.suffix == ".gz":
        return unpack(path, PAGE)
    with path.open("rb") as file:
        return file.read(PAGE)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def check_head(page: bytes, segment: Segment, identity: Identity, history: History) -> None:
    """Compare the first page with the name and the server. Raises Damaged."""
    if len(page) < PAGE:
        raise Damaged(f"it ends after {len(page)} bytes")
    _check_page(page, 0, segment, identity, history)
    info, system, size, block = _long(page)
    if not info & _LONG_INFO:
        raise Damaged("its first page has no long header")
    if system != identity.system_identifier:
        raise Damaged(f"it is of another server (system identifier {system})")
    if size != identity.bytes or block != PAGE:
        raise Damaged(f"its header speaks of segments of {size} bytes and pages of {block}")


def _long(page: bytes) -> tuple[int, int, int, int]:
    _, info, _, _, _, system, size, block = _LONG.unpack_from(page)
    return info, system, size, block


def check_pages(
    content: bytes, segment: Segment, identity: Identity, history: History, upto: int | None = None
) -> None:
    """Every page's header, up to the position `upto` when not all is written. Raises Damaged."""
    end = segment.end if upto is None else min(upto, segment.end)
    check_head(content[:PAGE], segment, identity, history)
    for offset in range(PAGE, max(end - segment.start, 0), PAGE):
        if not any(content[offset : offset + 20]) and _is_after_switch(content, offset):
            return
        _check_page(content, offset, segment, identity, history)


def _is_after_switch(content: bytes, offset: int) -> bool:
    """The rest of a segment that was switched away from is zeros."""
    return content.count(0, offset) == len(content) - offset


def _check_page(
    content: bytes, offset: int, segment: Segment, identity: Identity, history: History
) -> None:
    magic, _, timeline, address, _ = _SHORT.unpack_from(content, offset)
    expected = segment.start + offset
    if magic != _MAGIC_BY_MAJOR.get(identity.major, magic):
        raise Damaged(f"the page at {lsn_text(expected)} is no WAL of PostgreSQL {identity.major}")
    if address != expected:
        raise Damaged(f"the page at {lsn_text(expected)} says it is {lsn_text(address)}")
    if timeline != history.timeline_at(expected):
        raise Damaged(
            f"the page at {lsn_text(expected)} is of timeline {timeline},"
            f" not {history.timeline_at(expected)}"
        )
