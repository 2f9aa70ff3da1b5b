"""Settle whole segments: read each to its last record, write down its hash, then pack it.

A segment is proven when it arrives, so that damage done later is seen by its hash alone.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from console.backup import jsonfile
from console.backup.store import explained
from console.pitr.archive import Archive
from console.pitr.names import Segment
from console.pitr.reading import read_segment, sealed_before
from console.pitr.segment import Damaged, check_pages, read_whole, sha256, unpack
from console.pitr.stretch import Notable, Pending, Sealed, Stretch, WalFile
from console.pitr.waldump import Relation, Scan
from console.tools import Tools

NOTABLE_DELETE = 100
"""Rows of one table deleted by one transaction, from which on it is worth a line."""

_KEPT_PENDING = 50
_ALWAYS = frozenset(
    {"restore point", "drop", "truncate", "drop database", "shutdown", "promotion", "parameters"}
)


@dataclass(slots=True)
class Settler:
    """Settles one stretch, segment by segment; keep it as long as the stretch is received."""

    archive: Archive
    stretch: Stretch
    tools: Tools
    packing: bool

    async def settle(self, limit: int | None = None) -> int:
        """Settle what is whole and not settled yet, at most `limit` segments; how many.

        A damaged one is written down as such and left as it is. Raises CommandFailed when the
        disk refuses or pg_waldump cannot be run.
        """
        stretch = self.stretch = self.stretch.fresh()
        due = [file for file in stretch.files.values() if self._is_due(file)][:limit]
        for file in due:
            sealed = stretch.ledger.get(file.segment.name)
            if sealed is None:
                sealed = await self._seal(file)
                stretch.ledger[sealed.name] = sealed
            if self.packing and not sealed.problem and not stretch.foreign:
                await asyncio.to_thread(self._pack, file, sealed)
        return len(due)

    def _is_due(self, file: WalFile) -> bool:
        if file.partial or not file.readable:
            return False
        sealed = self.stretch.ledger.get(file.segment.name)
        packs = self.packing and not self.stretch.foreign and file.path.suffix != ".gz"
        return sealed is None or (packs and not sealed.problem)

    async def _seal(self, file: WalFile) -> Sealed:
        segment = file.segment
        try:
            content = await asyncio.to_thread(self._checked, file)
        except Damaged as problem:
            return self._written(_damaged(segment, str(problem)))
        before = sealed_before(self.stretch, segment)
        found = await read_segment(self.archive, self.stretch, file, self.tools)
        digest = await asyncio.to_thread(sha256, content)
        return self._written(self._sealed(segment, digest, found, before))

    def _checked(self, file: WalFile) -> bytes:
        history = self.stretch.history(file.segment.timeline)
        if history is None:
            raise Damaged(f"the history of timeline {file.segment.timeline} is missing or damaged")
        with explained(file.path):
            content = read_whole(file.path, self.stretch.segment_bytes)
        check_pages(content, file.segment, self.stretch.identity, history)
        return content

    def _sealed(self, segment: Segment, digest: str, found: Scan, before: Sealed | None) -> Sealed:
        times = [end.at for end in found.ends]
        last = found.last if found.last is not None else (before.last if before else None)
        problem = found.problem if not _runs_through(found, before) else ""
        return Sealed(
            name=segment.name,
            sha256=digest,
            last=last,
            transactions=sum(end.committed for end in found.ends),
            first_at=min(times, default=None),
            last_at=max(times, default=None),
            sealed_at=datetime.now(UTC),
            first_xid=min((end.xid for end in found.ends), default=0),
            last_xid=max((end.xid for end in found.ends), default=0),
            notable=_notable(found),
            pending=_pending(found.open_deletes),
            problem=problem,
        )

    def _written(self, sealed: Sealed) -> Sealed:
        self.stretch.seal(sealed)
        return sealed

    def _pack(self, file: WalFile, sealed: Sealed) -> None:
        """Replace the plain file by a packed one, once that is on the disk and reads the same."""
        if file.path.suffix == ".gz":
            return
        packed = file.path.with_name(f"{sealed.name}.gz")
        partial = file.path.with_name(f".{sealed.name}.gz.partial")
        with explained(file.path):
            packing = zlib.compressobj(1, wbits=31)
            content = file.path.read_bytes()
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as output:
                output.write(packing.compress(content) + packing.flush())
                output.flush()
                os.fsync(output.fileno())
            if sha256(unpack(partial, len(content) + 1)) != sealed.sha256:
                partial.unlink()
                return  # the plain file stays, and the audit says what is wrong with it
            partial.rename(packed)
            jsonfile.sync_directory(packed.parent)
            file.path.unlink()


def _damaged(segment: Segment, problem: str) -> Sealed:
    return Sealed(segment.name, "", None, 0, None, None, datetime.now(UTC), problem=problem)


def _runs_through(found: Scan, before: Sealed | None) -> bool:
    """One record may fill a whole segment: then none can be found in it alone."""
    return before is None and not found.records and "could not find a valid record" in found.problem


def _notable(found: Scan) -> tuple[Notable, ...]:
    """The events that an operator may look for."""
    kept = []
    for event in found.events:
        large = event.kind == "delete" and event.rows >= NOTABLE_DELETE
        if not (large or event.kind in _ALWAYS or event.kind == "insert"):
            continue
        kind = "migration" if event.kind == "insert" else event.kind
        database, file = event.relation or (0, 0)
        kept.append(
            Notable(kind, event.lsn, event.at, event.xid, event.name, event.rows, database, file)
        )
    return tuple(kept)


def _pending(open_deletes: Counter[tuple[int, Relation]]) -> tuple[Pending, ...]:
    return tuple(
        Pending(xid, relation[0], relation[1], rows)
        for (xid, relation), rows in open_deletes.most_common(_KEPT_PENDING)
    )
