"""Bring a base backup and the WAL behind it into a data directory, checking all of it on the way.

Nothing is started on WAL that is missing or is not what was received.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from console.backup.store import explained
from console.errors import ActionRefused, CommandFailed
from console.pitr.archive import Archive
from console.pitr.audit import Run
from console.pitr.base import Base, chain
from console.pitr.names import Segment, lsn
from console.pitr.segment import Damaged, check_pages, read_whole, sha256
from console.pitr.settle import Settler
from console.pitr.stretch import Stretch, WalFile
from console.process import Command, run
from console.tools import Tools

_THREADS = 2


@dataclass(frozen=True, slots=True)
class Staged:
    segments: int
    bytes: int


async def copy_base(archive: Archive, base: Base, data: Path, tools: Tools) -> None:
    """A copy of the base backup as `data`, which must not be there yet; whole or an error.

    An incremental one is combined with those it is laid over. Raises CommandFailed.
    """
    parts = chain(archive, base)
    with explained(data.parent):
        data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if len(parts) > 1:
        arguments = [f"--output={data}", "--no-sync", *(str(part.data) for part in parts)]
        with tools.command(None, "pg_combinebackup", *arguments) as command:
            finished = await run(command)
    else:
        # cp copies on a file system that can share blocks without copying.
        sources = [str(base.data)]
        if (base.path / "tablespaces").is_dir():
            sources.append(str(base.path / "tablespaces"))
        copying = ("cp", "-a", "--reflink=auto", "--", *sources, str(data.parent))
        finished = await run(Command(copying, {**os.environ, "LC_ALL": "C"}))
    if finished.returncode != 0:
        raise finished.failure(
            f"The base backup {base.id} could not be copied",
            "Free some disk space, or set pitr.side_directory to another disk.",
        )


async def stage_wal(
    archive: Archive, base: Base, run_: Run, upto: int, directory: Path, tools: Tools
) -> Staged:
    """Every segment from the base backup's begin to the one behind `upto`, plain, in `directory`.

    Each is compared with what was received. Raises ActionRefused naming the first that is not.
    """
    manifest = base.manifest
    if manifest is None:
        raise ActionRefused(f"The base backup {base.id} is damaged.", "Use another.")
    await _settle_unknown(archive, run_.stretch, tools)
    stretch = run_.stretch.fresh()
    size = stretch.segment_bytes
    # The record at `upto` may reach into the next segment.
    end = min(upto + 2 * size, max(run_.end, upto + 1))
    wanted = run_.history.segments(lsn(manifest.start_lsn), end, size)
    own = lsn(manifest.stop_lsn) // size
    work = [segment for segment in wanted if not _is_in_base(segment, stretch, base, own)]
    with explained(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    await asyncio.to_thread(_copy_histories, stretch, directory)
    with ThreadPoolExecutor(_THREADS) as pool:
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(pool, _stage, stretch, s, directory) for s in work]
        await asyncio.gather(*jobs)
    return Staged(len(work), len(work) * size)


async def _settle_unknown(archive: Archive, stretch: Stretch, tools: Tools) -> None:
    """WAL that was never read is read now: an existing archive's, or of the last seconds."""
    settler = Settler(archive, stretch, tools, packing=False)
    while await settler.settle(limit=1):
        pass


def _is_in_base(segment: Segment, stretch: Stretch, base: Base, last: int) -> bool:
    """Whether the base backup brings it along and the archive does not have it."""
    there = (base.data / "pg_wal" / segment.name).exists()
    return segment not in stretch.files and there and segment.number < last


def _copy_histories(stretch: Stretch, directory: Path) -> None:
    with explained(directory):
        for path in stretch.directory.rglob("*.history"):
            shutil.copyfile(path, directory / path.name)


def _stage(stretch: Stretch, segment: Segment, directory: Path) -> None:
    file = stretch.files.get(segment)
    sealed = stretch.ledger.get(segment.name)
    if file is None:
        raise _refused(segment, "it was received, and is gone" if sealed else "it is missing")
    if sealed is not None and sealed.problem:
        raise _refused(segment, sealed.problem)
    try:
        content = stretch.retrying(file, lambda there: _content(stretch, there))
    except Damaged as problem:
        raise _refused(segment, str(problem)) from problem
    except OSError as error:
        raise _refused(segment, f"cannot be read ({error.strerror})") from error
    if sealed is not None and sealed.sha256 != sha256(content):
        raise _refused(segment, "its content is not what was received (the hash differs)")
    with explained(directory):
        (directory / segment.name).write_bytes(content)


def _content(stretch: Stretch, file: WalFile) -> bytes:
    if not file.partial:
        return read_whole(file.path, stretch.segment_bytes)
    history = stretch.history(file.segment.timeline)
    if history is None:
        raise Damaged(f"the history of timeline {file.segment.timeline} is missing or damaged")
    content = file.path.read_bytes().ljust(stretch.segment_bytes, b"\0")
    if any(content[:20]):
        check_pages(content, file.segment, stretch.identity, history, upto=file.segment.start + 1)
    return content


def _refused(segment: Segment, problem: str) -> ActionRefused:
    return ActionRefused(
        f"WAL {segment.name} is needed, and {problem}.",
        "Nothing was started; `pitr status` shows what can be recovered.",
    )


def install_wal(staged: Path, data: Path) -> None:
    """Move staged segments into a data directory on the same disk. Raises CommandFailed."""
    with explained(data):
        for path in staged.iterdir():
            path.replace(data / "pg_wal" / path.name)
        staged.rmdir()


def require_stopped(data: Path) -> None:
    """Raises CommandFailed when a server may be running in `data`."""
    if (data / "postmaster.pid").exists():
        raise CommandFailed(f"A server runs in {data}.", "Stop it first.")
