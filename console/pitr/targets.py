"""From what is asked for (a time, a position, a transaction, a name) to one record of the WAL.

The record is looked up before anything is recovered. Recovery is then told its position alone:
no time zone can be misread, and where it must stop is known exactly.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from console.backup.manifest import Verdict
from console.errors import ActionRefused
from console.pitr.archive import Archive
from console.pitr.audit import Audit, Run, look, merged
from console.pitr.base import Base, BaseManifest, bases, find_base
from console.pitr.names import lsn, lsn_text
from console.pitr.partial import read_partial
from console.pitr.reading import read_segment
from console.pitr.stretch import Sealed, WalFile
from console.pitr.waldump import End, Scan
from console.pitr.window import Window, windows
from console.pitr.words import moment
from console.tools import Tools

Kind = Literal["time", "lsn", "xid", "name", "latest"]
_AGO = re.compile(r"(\d+) ?(s|sec|min|h) ago")
_SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `before` leaves the transaction, record or moment itself out."""

    kind: Kind
    text: str = ""
    before: bool = False

    @property
    def words(self) -> str:
        if self.kind == "latest":
            return "the end of what was received"
        named = {"lsn": "position", "xid": "transaction", "name": "restore point"}
        what = moment(self.time) if self.kind == "time" else f"{named[self.kind]} {self.text}"
        return f"just before {what}" if self.before else what

    @property
    def time(self) -> datetime:
        """The time asked for. Raises ActionRefused when it cannot be read."""
        return read_time(self.text)


def read_time(text: str) -> datetime:
    """ISO 8601, with its offset or else in this machine's zone; or `5 min ago`.

    Raises ActionRefused for anything else.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ActionRefused(
            f"'{text}' is no time.",
            "Write it as '2026-11-26 14:30:00+01:00', or as '5 min ago'.",
        ) from None
    return found.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Stop:
    """Where recovery stops, and what is known of that place."""

    wanted: Wanted
    base: Base
    run: Run
    lsn: int
    """A record begins here, or the first behind it is meant."""
    inclusive: bool
    """Whether that record is still replayed."""
    last_commit: End | None
    """The last end of a transaction before it, when it was seen in the same segment."""
    exact: bool = True
    """A record is known to begin at `lsn`; a position that an operator gave may lie in one."""
    remark: str = ""
    """What an operator should know of how it was found."""


async def resolve(
    archive: Archive, wanted: Wanted, tools: Tools, base: str = "", audit: Audit | None = None
) -> Stop:
    """The record to stop at, and the base backup to begin with. Raises ActionRefused."""
    found = audit if audit is not None else await asyncio.to_thread(look, archive)
    search = _Search(archive, wanted, tools, found, base)
    return await search.find()


@dataclass(slots=True)
class _Search:
    archive: Archive
    wanted: Wanted
    tools: Tools
    audit: Audit
    base: str

    async def find(self) -> Stop:
        known = windows(self.audit, bases(self.archive))
        if not known:
            raise ActionRefused(
                "Nothing can be recovered to a moment: no base backup leads into WAL that is here.",
                "`pitr status` says what is missing; `pitr base` makes a base backup.",
            )
        return await {
            "time": self._time,
            "lsn": self._position,
            "xid": self._transaction,
            "name": self._name,
            "latest": self._latest,
        }[self.wanted.kind](known)

    async def _time(self, known: Sequence[Window]) -> Stop:
        at = self.wanted.time
        window = next((w for w in reversed(known) if w.holds_time(at)), None)
        if window is None:
            raise self._outside(known)
        base = self._base(window, lambda b: b.ended_at <= at)
        for file in self._files(window.run, base):
            sealed = window.run.stretch.ledger.get(file.segment.name)
            if sealed is not None and not self._may_pass(sealed, at):
                continue
            found = await self._scan(window.run, file)
            for number, end in enumerate(found.ends):
                if end.at > at or (self.wanted.before and end.at == at):
                    last = found.ends[number - 1] if number else None
                    return Stop(self.wanted, base, window.run, end.lsn, False, last)
        remark = "No transaction ended after it: everything that was received is replayed."
        return await self._end(window.run, base, remark)

    def _may_pass(self, sealed: Sealed, at: datetime) -> bool:
        if sealed.last_at is None:
            return False
        return sealed.last_at > at or (self.wanted.before and sealed.last_at == at)

    async def _position(self, known: Sequence[Window]) -> Stop:
        try:
            position = lsn(self.wanted.text)
        except ValueError as error:
            raise ActionRefused(f"{error}.", "Write it as 0/3000028.") from error
        window = next((w for w in reversed(known) if w.holds_lsn(position)), None)
        if window is None:
            raise self._outside(known)
        base = self._base(window, lambda b: lsn(b.stop_lsn) <= position)
        end = await self._end(window.run, base)
        if position > end.lsn:
            raise ActionRefused(
                f"No record begins at {lsn_text(position)} or behind it.",
                f"The last one begins at {lsn_text(end.lsn)}; `--latest` goes there.",
            )
        inclusive = not self.wanted.before
        return Stop(self.wanted, base, window.run, position, inclusive, None, exact=False)

    async def _transaction(self, known: Sequence[Window]) -> Stop:
        if not self.wanted.text.isdigit():
            raise ActionRefused(f"'{self.wanted.text}' is no transaction id.", "Write a number.")
        xid = int(self.wanted.text) % (1 << 32)
        for window in reversed(known):
            for file in self._files(window.run):
                sealed = window.run.stretch.ledger.get(file.segment.name)
                if sealed is not None and not sealed.first_xid <= xid <= sealed.last_xid:
                    continue
                found = await self._scan(window.run, file)
                for number, end in enumerate(found.ends):
                    if end.xid == xid:
                        last = end if not self.wanted.before else None
                        if self.wanted.before and number:
                            last = found.ends[number - 1]
                        return self._at(window, end.lsn, last)
        raise ActionRefused(
            f"Transaction {xid} does not end in the WAL that is here.",
            self._range(known),
        )

    async def _name(self, known: Sequence[Window]) -> Stop:
        for window in reversed(known):
            found = await self._named(window)
            if found:
                return self._at(window, max(found), None)
        raise ActionRefused(
            f"There is no restore point '{self.wanted.text}' in the WAL that is here.",
            "`pitr status` shows those there are.",
        )

    async def _named(self, window: Window) -> list[int]:
        """Where the restore points of that name are."""
        name, run = self.wanted.text, window.run
        found = [
            event.lsn
            for file in self._files(run)
            if (sealed := run.stretch.ledger.get(file.segment.name)) is not None
            for event in sealed.notable
            if event.kind == "restore point" and event.name == name
        ]
        for file in self._files(run):
            if file.segment.name not in run.stretch.ledger:
                scan = await self._scan(run, file)
                found += [
                    e.lsn for e in scan.events if e.kind == "restore point" and e.name == name
                ]
        return found

    async def _latest(self, known: Sequence[Window]) -> Stop:
        window = known[-1]
        return await self._end(window.run, self._base(window, lambda base: True))

    def _at(self, window: Window, position: int, last: End | None) -> Stop:
        if not window.holds_lsn(position):
            raise self._outside((window,))
        base = self._base(window, lambda b: lsn(b.stop_lsn) <= position)
        return Stop(self.wanted, base, window.run, position, not self.wanted.before, last)

    async def _end(self, run: Run, base: Base, remark: str = "") -> Stop:
        """The last record there is: recovery must come exactly so far."""
        for file in reversed(self._files(run, base)):
            sealed = run.stretch.ledger.get(file.segment.name)
            found = await self._scan(run, file) if sealed is None else None
            last = found.last if found is not None else sealed.last if sealed else None
            if last is not None:
                ends = found.ends if found is not None else []
                commit = ends[-1] if ends else None
                return Stop(self.wanted, base, run, last, True, commit, remark=remark)
        raise ActionRefused("There is no record behind the base backup.", "Wait for the next one.")

    def _files(self, run: Run, base: Base | None = None) -> list[WalFile]:
        """The run's segments, from the one that the base backup ends in."""
        first = run.start
        if base is not None and base.manifest is not None:
            first = lsn(base.manifest.stop_lsn)
        size = run.stretch.segment_bytes
        wanted = run.history.segments(max(first, run.start), max(run.end, run.start + 1), size)
        files = run.stretch.files
        return [files[segment] for segment in wanted if segment in files]

    async def _scan(self, run: Run, file: WalFile) -> Scan:
        if file.partial:
            return (await read_partial(self.archive, run.stretch, file, self.tools)).found
        return await read_segment(self.archive, run.stretch, file, self.tools)

    def _base(self, window: Window, fits: Callable[[BaseManifest], bool]) -> Base:
        """The newest base backup of the window that ends before the target; or the one named."""
        if self.base:
            base = find_base(self.archive, self.base)
            if base not in window.bases or base.manifest is None or not fits(base.manifest):
                raise ActionRefused(
                    f"From the base backup {base.id} {self.wanted.words} cannot be reached.",
                    "Leave --base out, or choose an earlier one.",
                )
            return base
        fitting = [b for b in window.bases if b.manifest is not None and fits(b.manifest)]
        if not fitting:
            raise self._outside((window,))
        good = [base for base in fitting if base.verdict is Verdict.PASS]
        return (good or fitting)[-1]

    def _outside(self, known: Sequence[Window]) -> ActionRefused:
        return ActionRefused(
            f"{self.wanted.words[:1].upper()}{self.wanted.words[1:]} cannot be recovered to.",
            self._range(known),
        )

    def _range(self, known: Sequence[Window]) -> str:
        places = [
            f"{moment(w.from_time)} to {moment(w.to_time)}"
            f" ({lsn_text(w.from_lsn)} to {lsn_text(w.to_lsn)})"
            for w in known
        ]
        troubles = [f"{t.segment}: {t.problem}" for t in merged(self.audit.troubles)[:2]]
        lost = f" Not here: {'; '.join(troubles)}." if troubles else ""
        return f"Recoverable: {', '.join(places)}.{lost}"
