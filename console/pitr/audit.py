"""Audit the archive: is every segment there, whole, of this server, and as it was received?

A look reads sizes, first pages and names, which takes milliseconds; a full audit unpacks
everything, compares hashes, and has pg_waldump read what was never read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from console.pitr.archive import Archive
from console.pitr.names import History, Segment, lsn, segment_of
from console.pitr.partial import read_partial
from console.pitr.receiver_state import ReceiverState, read_state
from console.pitr.segment import Damaged, read_whole, sha256
from console.pitr.settle import Settler
from console.pitr.stretch import Stretch, WalFile
from console.pitr.tooling import tools_for
from console.settings import Settings
from console.tools import Tools

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trouble:
    """WAL that is not there, or not right: recovery cannot go through it."""

    segment: str
    start: int
    end: int
    problem: str
    received: bool
    """It was here once: this is a loss, and not a gap that was always there."""


@dataclass(frozen=True, slots=True)
class Run:
    """WAL without a hole, along one timeline's history."""

    stretch: Stretch
    history: History
    start: int
    end: int
    first_at: datetime | None
    """The earliest known commit in it."""
    last_at: datetime | None
    """Recoverable up to here: the recovery point, or the latest commit known."""
    segments: int
    ends_open: bool = False
    """It ends with the segment that is being received."""

    def holds(self, position: int) -> bool:
        """Whether recovery from `position` can begin here."""
        return self.start <= position <= self.end


@dataclass(frozen=True, slots=True)
class Audit:
    at: datetime
    full: bool
    runs: tuple[Run, ...]
    """Oldest first."""
    troubles: tuple[Trouble, ...]
    state: ReceiverState | None

    @property
    def good(self) -> bool:
        return not self.troubles

    def run_holding(self, position: int) -> Run | None:
        """The newest run with that position in it."""
        return next((run for run in reversed(self.runs) if run.holds(position)), None)


def look(archive: Archive) -> Audit:
    """Sizes, names, first pages and the ledger's words; reads little, blocks little."""
    state = read_state(archive)
    return _audit(archive, state, {}, full=False)


async def audit(archive: Archive, settings: Settings, tell: Tell = lambda line: None) -> Audit:
    """Read everything. Raises ActionRefused when the programs are missing."""
    tools = await tools_for(archive.info.major, settings)
    state = read_state(archive)
    found: dict[Path, str] = {}
    for stretch in archive.stretches:
        packing = False  # the receiver packs
        settler = Settler(archive, stretch, tools, packing)
        while await settler.settle(limit=1):
            pass
        stretch = stretch.fresh()
        for number, file in enumerate(stretch.files.values(), 1):
            tell(f"reading {number} of {len(stretch.files)} segments")
            problem = await _problem_of(archive, stretch, file, tools, state)
            if problem:
                found[file.path] = problem
    return _audit(archive, state, found, full=True)


async def _problem_of(
    archive: Archive, stretch: Stretch, file: WalFile, tools: Tools, state: ReceiverState | None
) -> str:
    if not file.partial:
        return await asyncio.to_thread(content_problem, stretch, file)
    if state is None or stretch.number != archive.current.number:
        return ""
    wanted = lsn(state.recovery_lsn)
    if not file.segment.start < wanted <= file.segment.end:
        return ""
    partial = await read_partial(archive, stretch, file, tools)
    return partial.problem_before(wanted)


def content_problem(stretch: Stretch, file: WalFile) -> str:
    """What is wrong with a whole segment's content against the ledger; '' when nothing is."""
    sealed = stretch.ledger.get(file.segment.name)
    try:
        content = stretch.retrying(file, lambda f: read_whole(f.path, stretch.segment_bytes))
    except Damaged as problem:
        return str(problem)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if sealed is not None and sealed.sha256 and sha256(content) != sealed.sha256:
        return "its content is not what was received (the hash differs)"
    return ""


def _audit(
    archive: Archive, state: ReceiverState | None, problems: dict[Path, str], *, full: bool
) -> Audit:
    runs: list[Run] = []
    troubles: list[Trouble] = []
    for stretch in archive.stretches:
        current = stretch.number == archive.current.number
        walked = _Walk(stretch.fresh(), state if current else None, problems)
        walked.walk()
        runs += walked.runs
        troubles += walked.troubles
    return Audit(datetime.now(UTC), full, tuple(runs), tuple(troubles), state)


@dataclass(slots=True)
class _Open:
    start: int
    end: int
    segments: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    ends_open: bool = False


class _Walk:
    """Goes along the newest timeline of a stretch, from its first segment to its last."""

    def __init__(
        self, stretch: Stretch, state: ReceiverState | None, problems: dict[Path, str]
    ) -> None:
        self.stretch = stretch
        self.state = state
        self.problems = problems
        self.runs: list[Run] = []
        self.troubles: list[Trouble] = []
        self._open: _Open | None = None

    def walk(self) -> None:
        known = self._known()
        if not known:
            return
        timeline = max(segment.timeline for segment in known)
        history = self.stretch.history(timeline)
        if history is None:
            first = min(segment for segment in known if segment.timeline == timeline)
            self._trouble(first, f"the history of timeline {timeline} is missing or damaged", True)
            timeline = max(s.timeline for s in known if s.timeline in self.stretch.histories)
            history = self.stretch.histories[timeline]
        begin = min(segment.number for segment in known)
        last = max(s.number for s in known if s.timeline == timeline)
        size = self.stretch.segment_bytes
        for segment in history.segments(begin * size, (last + 1) * size, size):
            self._step(segment, segment.number == last)
        self._close(history)

    def _known(self) -> set[Segment]:
        """On the disk, in the ledger, or told by the receiver: what should be there."""
        stretch, size = self.stretch, self.stretch.segment_bytes
        known = set(stretch.files)
        names = {segment.name: segment for segment in known}
        known |= {segment_of(name, size) for name in stretch.ledger if name not in names}
        position = lsn(self.state.recovery_lsn) if self.state else 0
        if self.state is not None and position:
            known.add(Segment((position - 1) // size, self.state.timeline, size))
        return known

    def _step(self, segment: Segment, is_last: bool) -> None:
        file = self.stretch.files.get(segment)
        sealed = self.stretch.ledger.get(segment.name)
        if file is None:
            received = sealed is not None or self._told(segment)
            self._trouble(
                segment, "it was received, and is gone" if received else "it is missing", received
            )
            return
        problem = self._problem(file, is_last) or (sealed.problem if sealed else "")
        if problem:
            self._trouble(segment, problem, True)
            return
        self._extend(segment, file)

    def _told(self, segment: Segment) -> bool:
        return self.state is not None and segment.start < lsn(self.state.recovery_lsn)

    def _problem(self, file: WalFile, is_last: bool) -> str:
        problem = self.problems.get(file.path) or self.stretch.head_problem(file)
        if problem or not file.partial:
            return problem
        if not is_last:
            return "it was never received to its end"
        if self.state is not None:
            wanted = min(lsn(self.state.recovery_lsn), file.segment.end) - file.segment.start
            if file.bytes < wanted:
                return f"it ends after {file.bytes} bytes; {wanted} were received"
        return ""

    def _extend(self, segment: Segment, file: WalFile) -> None:
        if self._open is None:
            self._open = _Open(segment.start, segment.start)
        run, sealed = self._open, self.stretch.ledger.get(segment.name)
        run.segments += 1
        run.end = segment.end
        if file.partial:
            told = lsn(self.state.recovery_lsn) if self.state else segment.start
            run.end, run.ends_open = min(max(told, segment.start), segment.end), True
        if sealed is not None:
            run.first_at = run.first_at or sealed.first_at
            run.last_at = max(filter(None, (run.last_at, sealed.last_at)), default=None)

    def _trouble(self, segment: Segment, problem: str, received: bool) -> None:
        self.troubles.append(Trouble(segment.name, segment.start, segment.end, problem, received))
        history = self.stretch.history(segment.timeline)
        if history is not None:
            self._close(history)

    def _close(self, history: History) -> None:
        run, self._open = self._open, None
        if run is None:
            return
        last_at = run.last_at
        told = lsn(self.state.recovery_lsn) if self.state else 0
        if self.state is not None and run.start < told <= run.end:
            last_at = max(filter(None, (last_at, self.state.recovery_time)), default=None)
        self.runs.append(
            Run(
                self.stretch,
                history,
                run.start,
                run.end,
                run.first_at,
                last_at,
                run.segments,
                run.ends_open,
            )
        )


def merged(troubles: Iterable[Trouble]) -> list[Trouble]:
    """Neighbours with the same problem as one."""
    found: list[Trouble] = []
    for trouble in troubles:
        last = found[-1] if found else None
        if last and last.end == trouble.start and last.problem == trouble.problem:
            found[-1] = replace(last, end=trouble.end)
        else:
            found.append(trouble)
    return found
