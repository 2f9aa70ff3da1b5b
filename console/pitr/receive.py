"""Receive WAL: run pg_receivewal over the slot, watch it, settle what is whole, report gaps.

`receive` runs until it is cancelled and comes back from every failure that may pass. It is what
`pitr receive` does in the foreground, and what an agent supervises.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from console.errors import ActionRefused, ConsoleError
from console.findings import Severity
from console.pitr import archive as archives
from console.pitr.archive import Archive
from console.pitr.names import lsn, lsn_text
from console.pitr.reading import sweep_scratch
from console.pitr.receiver_state import Gap, Progress, ReceiverState, read_state, write_state
from console.pitr.settle import Settler
from console.pitr.setup import ensure_slot, read_sample, read_server, require_same, slot_words
from console.pitr.tooling import tools_for
from console.process import first_error, run
from console.session import Limits, Session, connect
from console.settings import Settings
from console.target import Target
from console.tools import Tools
from queries.pitr import NAMED_FILES

_WATCH_SECONDS = 1.0
_NAMES_SECONDS = 10.0
_BACKOFF = (1.0, 2.0, 4.0, 8.0, 15.0)
_LOOKING = Limits(statement_ms=5_000, lock_ms=1_000, connect_s=5)
_REMOVED = re.compile(r"requested WAL segment \S+ has already been removed")
_ELSEWHERE = re.compile(r"requested starting point .* is (?:ahead of|not in this server)")

Tell = Callable[[str], None]


def silent(line: str) -> None:
    """A report that nobody reads."""


async def receive(target: Target, settings: Settings, tell: Tell = silent) -> None:
    """Receive the target's WAL until cancelled; `tell` gets a line for each thing that happens.

    Raises ActionRefused when there is nothing to receive into, the archive is of another server,
    or another process receives already; CommandFailed when the programs are missing.
    """
    archive = await asyncio.to_thread(archives.require, settings.pitr, target.name)
    if archive.info.source:
        raise ActionRefused(
            f"The archive in {archive.info.source} is filled by the server itself.",
            "There is nothing to receive; `pitr status` reads it.",
        )
    tools = await tools_for(archive.info.major, settings, target)
    with archive.lock("receive", "Another process receives this server's WAL"):
        await _Receiver(target, settings, archive, tools, tell).run()


class _StretchEnded(Exception):
    """The server cannot go on where the received WAL ends."""


@dataclass(slots=True)
class _Receiver:
    target: Target
    settings: Settings
    archive: Archive
    tools: Tools
    tell: Tell
    progress: Progress | None = None
    complaint: str = ""

    async def run(self) -> None:
        now = datetime.now(UTC)
        before = read_state(self.archive)
        began = ReceiverState(os.getpid(), now, now, "connecting")
        if before is not None:
            began = replace(
                before, pid=began.pid, started_at=now, written_at=now, phase="connecting"
            )
        await asyncio.to_thread(sweep_scratch, self.archive)
        self.progress = Progress(began)
        failures = 0
        while True:
            streamed = False
            try:
                await self._prepare()
                self._write("connecting")
                streamed = await self._stream()
            except _StretchEnded as gap:
                await self._begin_anew(str(gap))
                continue
            except ActionRefused:
                raise
            except ConsoleError as error:
                self._complain(str(error))
            failures = 0 if streamed else failures + 1
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    @property
    def _state(self) -> ReceiverState:
        assert self.progress is not None
        return self.progress.state

    def _write(self, phase: str, problem: str = "") -> None:
        assert self.progress is not None
        self.progress.state = replace(self._state, phase=phase, problem=problem)
        write_state(self.archive, self._state)

    def _complain(self, problem: str) -> None:
        if problem != self.complaint:
            self.tell(problem)
        self.complaint = problem
        self._write("waiting", problem)

    async def _prepare(self) -> None:
        """The same server as ever, a slot that is usable, and files that can be gone on with."""
        server = await read_server(self.target)
        require_same(self.archive, server)
        await ensure_slot(self.target, self.archive.info.slot)
        await asyncio.to_thread(_mend_torn, self.archive)
        await self._require_not_behind()

    async def _require_not_behind(self) -> None:
        """A server restored to an earlier time writes other WAL under the same positions."""
        async with connect(self.target, limits=_LOOKING) as connection:
            sample = await read_sample(connection, self.archive.info.slot)
        assert self.progress is not None
        self.progress.before = sample.restart_lsn
        files = self.archive.current.fresh().files
        whole = [segment for segment, file in files.items() if not file.partial]
        timeline = max((segment.timeline for segment in files), default=0)
        if whole and int(sample.timeline, 16) < timeline:
            raise _StretchEnded(f"the server is on timeline {int(sample.timeline, 16)} again")
        if whole and int(sample.timeline, 16) == timeline:
            end = max(segment.end for segment in whole if segment.timeline == timeline)
            if lsn(sample.flush_lsn) < end:
                raise _StretchEnded("the server is behind what was received: it was put back")

    async def _stream(self) -> bool:
        """Run pg_receivewal until it ends; whether it received anything."""
        stretch = self.archive.claim_stretch()
        settler = Settler(
            self.archive, stretch, self.tools, self.settings.pitr.compression == "gzip"
        )
        before = self._state.recovery_lsn
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch())
                settling = tasks.create_task(self._settle(settler))
                await self._run_program(str(stretch.directory))
                watching.cancel()
                settling.cancel()
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        return self._state.recovery_lsn != before

    async def _run_program(self, directory: str) -> None:
        # Plain and synchronous: what is in the unfinished file is on the disk and readable.
        arguments = [
            f"--directory={directory}",
            f"--slot={self.archive.info.slot}",
            "--synchronous",
            "--no-loop",
            "--no-password",
            "--status-interval=1",
            "--verbose",
        ]
        with self.tools.command(self.target, "pg_receivewal", *arguments) as command:
            finished = await run(command)
        if _REMOVED.search("\n".join(finished.lines)):
            raise _StretchEnded("the server had removed it: the slot did not hold it")
        if _ELSEWHERE.search("\n".join(finished.lines)):
            raise _StretchEnded("the server's history is another one now")
        self._complain(f"pg_receivewal ended: {finished.complaint}.")

    async def _watch(self) -> None:
        """Sample the server and write the state once a second; a lost session is tried again."""
        assert self.progress is not None
        session = Session(self.target, _LOOKING)
        named_at = float("-inf")
        loop = asyncio.get_running_loop()
        try:
            while True:
                with contextlib.suppress(ConsoleError):
                    sample = await session.ask(
                        lambda connection: read_sample(connection, self.archive.info.slot)
                    )
                    self.progress.take(sample)
                    finding = slot_words(sample)
                    bad = finding.severity in (Severity.FAILURE, Severity.WARNING)
                    if sample.slot_active and not bad:
                        self.complaint = ""
                    self._write(
                        "receiving" if sample.slot_active else "connecting",
                        finding.message if bad else "",
                    )
                    if loop.time() - named_at > _NAMES_SECONDS:
                        named_at = loop.time()
                        await self._read_names(session)
                await asyncio.sleep(_WATCH_SECONDS)
        finally:
            await session.close()

    async def _read_names(self, session: Session) -> None:
        rows = await session.fetch(NAMED_FILES)
        names = {(row.database, row.file): row.name for row in rows}
        self.archive = await asyncio.to_thread(self.archive.add_names, names)

    async def _settle(self, settler: Settler) -> None:
        while True:
            settler.archive = self.archive
            try:
                settled = await settler.settle(limit=1)
            except ConsoleError as error:
                self._complain(str(error))
                settled = 0
            if not settled:
                await asyncio.sleep(_WATCH_SECONDS)

    async def _begin_anew(self, reason: str) -> None:
        """Leave what was received as it is, and begin another stretch; the gap is written down."""
        assert self.progress is not None
        files = self.archive.current.fresh().files
        last = max((s.end if not f.partial else s.start for s, f in files.items()), default=0)
        end = max(last, lsn(self._state.recovery_lsn))
        await asyncio.to_thread(self.archive.new_stretch)
        async with connect(self.target, limits=_LOOKING) as connection:
            sample = await read_sample(connection, self.archive.info.slot)
        resumed = sample.restart_lsn or sample.flush_lsn
        gap = Gap(lsn_text(end), resumed, sample.at, reason)
        self.progress.begin_anew(gap)
        self._write("connecting")
        self.tell(
            f"Gap in the WAL from {gap.start} to {gap.end}: {reason}. Make a base backup now."
        )


def _mend_torn(archive: Archive) -> None:
    """Give an unfinished file its full length: pg_receivewal goes on with no other.

    One that was being made when its program was killed is shorter; its content is streamed anew.
    """
    stretch = archive.current.fresh()
    for file in stretch.files.values():
        if file.partial and 0 < file.bytes < stretch.segment_bytes:
            os.truncate(file.path, stretch.segment_bytes)
