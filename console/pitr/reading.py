"""Read one segment with pg_waldump, together with the record that reaches into it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from console.backup.store import explained
from console.errors import CommandFailed
from console.pitr.archive import Archive
from console.pitr.names import Segment, lsn_text
from console.pitr.segment import Damaged, read_whole, sha256, unpack
from console.pitr.stretch import Sealed, Stretch, WalFile
from console.pitr.waldump import Relation, Scan, scan
from console.tools import Tools

_SCRATCH = "scan-"


def sealed_before(stretch: Stretch, segment: Segment) -> Sealed | None:
    """The segment before, on this timeline or one it came from, if it was read to its end."""
    for timeline in range(segment.timeline, 0, -1):
        name = Segment(segment.number - 1, timeline, segment.bytes).name
        sealed = stretch.ledger.get(name)
        if sealed is not None:
            return sealed if not sealed.problem and sealed.last is not None else None
    return None


async def read_segment(archive: Archive, stretch: Stretch, file: WalFile, tools: Tools) -> Scan:
    """Every record that ends in the segment, from the last one known before it.

    Raises CommandFailed when the disk refuses or pg_waldump cannot be run.
    """
    before = sealed_before(stretch, file.segment)
    scratch = await asyncio.to_thread(_make_scratch, archive)
    try:
        start, paths = await asyncio.to_thread(_lay_out, scratch, stretch, file, before)
        continues = before is not None and start is not None
        return await scan(
            tools,
            paths[0],
            paths[-1],
            start=lsn_text(start) if start is not None else None,
            watched=archive.watched(),
            open_deletes=_carried(before) if continues else None,
        )
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def _make_scratch(archive: Archive) -> Path:
    with explained(archive.directory):
        return Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=archive.directory))


def sweep_scratch(archive: Archive) -> None:
    """Remove what killed readers have left behind (hold the receive lock)."""
    for path in archive.directory.glob(f"{_SCRATCH}*"):
        shutil.rmtree(path, ignore_errors=True)


def _lay_out(
    scratch: Path, stretch: Stretch, file: WalFile, before: Sealed | None
) -> tuple[int | None, list[Path]]:
    """Plain files under names of one timeline, and the record to begin with if it is there."""
    segment = file.segment
    if before is not None and before.last is not None:
        numbers = range(before.last // segment.bytes, segment.number)
        earlier = [_whole(stretch, number, segment.timeline) for number in numbers]
        found = [other for other in earlier if other is not None]
        if len(found) == len(earlier):
            try:
                for other in found:
                    _require_as_received(stretch, other)
                paths = [
                    _plain(scratch, stretch, other, segment.timeline) for other in (*found, file)
                ]
            except Damaged:
                pass  # what is wrong with an earlier segment is told of that one
            else:
                return before.last, paths
    try:
        return None, [_plain(scratch, stretch, file, segment.timeline)]
    except Damaged as problem:
        raise CommandFailed(
            f"WAL {segment.name} cannot be read: {problem}.", "`pitr audit` reads all of the WAL."
        ) from problem


def _whole(stretch: Stretch, number: int, timeline: int) -> WalFile | None:
    for candidate in range(timeline, 0, -1):
        found = stretch.files.get(Segment(number, candidate, stretch.segment_bytes))
        if found is not None and not found.partial:
            return found
    return None


def _require_as_received(stretch: Stretch, file: WalFile) -> None:
    sealed = stretch.ledger.get(file.segment.name)
    with explained(file.path):
        content = stretch.retrying(file, lambda there: read_whole(there.path, there.segment.bytes))
    if sealed is None or sha256(content) != sealed.sha256:
        raise Damaged("its content is not what was received")


def _plain(scratch: Path, stretch: Stretch, file: WalFile, timeline: int) -> Path:
    """A plain copy under a name of `timeline`. Raises Damaged."""
    path = scratch / Segment(file.segment.number, timeline, file.segment.bytes).name
    with explained(path):
        stretch.retrying(file, lambda there: _put(there, path))
    return path


def _put(file: WalFile, path: Path) -> None:
    if file.path.suffix == ".gz":
        path.write_bytes(unpack(file.path, file.segment.bytes))
        return
    shutil.copyfile(file.path, path)
    os.truncate(path, file.segment.bytes)


def _carried(before: Sealed | None) -> Counter[tuple[int, Relation]]:
    rows = before.pending if before is not None else ()
    return Counter({(row.xid, (row.database, row.file)): row.rows for row in rows})
