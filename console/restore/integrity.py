"""Whether what is to be restored is whole, and which rows it holds: it is read to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from console.backup.archive import SqlReader, read_contents, read_fully, read_plain
from console.backup.manifest import Check, FileKind, Verdict
from console.backup.verify import examine
from console.errors import ConsoleError
from console.restore.source import Source
from console.tools import Tools, ToolSettings
from console.units import size

Rows = dict[tuple[str, str], int]
"""Rows by schema and table."""

_READ = "full read"


async def read_whole(
    source: Source, tools: Tools | None, settings: ToolSettings
) -> tuple[Sequence[Check], Rows]:
    """Checks of a backup against its manifest, or of a bare dump file; and the latter's rows."""
    if source.backup is not None and source.manifest is not None:
        return await examine(source.backup, settings), {}
    if source.opened.kind is FileKind.PLAIN:
        return await _plain(source)
    return await _archive(source, tools)


async def _plain(source: Source) -> tuple[Sequence[Check], Rows]:
    try:
        reader, problem = await asyncio.to_thread(
            read_plain, source.path, gzipped=source.opened.gzipped
        )
    except OSError as error:
        return [Check(_READ, Verdict.FAIL, error.strerror or "unreadable")], {}
    return _judged(reader, problem)


async def _archive(source: Source, tools: Tools | None) -> tuple[Sequence[Check], Rows]:
    if tools is None:
        return [Check(_READ, Verdict.COULD_NOT_VERIFY, "there are no tools that read it")], {}
    try:
        contents = await read_contents(tools, source.path)
    except ConsoleError as error:
        return [Check("table of contents", Verdict.FAIL, error.message)], {}
    if not contents.entries:
        return [Check("table of contents", Verdict.FAIL, "it is empty")], {}
    reader = SqlReader()
    finished = await read_fully(tools, source.path, reader.consume)
    if finished.returncode != 0 or finished.lines:
        return [Check(_READ, Verdict.FAIL, finished.complaint)], {}
    checks, rows = _judged(reader, reader.problem)
    listed = Check("table of contents", Verdict.PASS, f"{len(contents.entries)} entries")
    return [listed, *checks], rows


def _judged(reader: SqlReader, problem: str) -> tuple[list[Check], Rows]:
    if problem:
        return [Check(_READ, Verdict.FAIL, problem)], {}
    answer = f"{size(reader.length)} of SQL, complete"
    return [Check(_READ, Verdict.PASS, answer)], dict(reader.rows)
