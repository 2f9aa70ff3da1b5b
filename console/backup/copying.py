"""A copy of the database to try things on: of its newest verified backup, else of a fresh dump."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from console.backup.dump import create_backup
from console.backup.load import LoadOptions, load, search_path_of
from console.backup.manifest import Verdict
from console.backup.snapshot import server_major
from console.backup.store import Backup, Store
from console.errors import ActionRefused, ConsoleError
from console.settings import Settings
from console.target import Target
from console.tools import find_tools

Report = Callable[[str], None]


@asynccontextmanager
async def to_copy(
    target: Target, settings: Settings, report: Report, *, fresh: bool = False
) -> AsyncIterator[Backup]:
    """The backup to copy, held while the block runs: the newest verified one that is still whole,
    else, or when `fresh`, a dump made for this alone. Raises ConsoleError kinds."""
    store = Store(settings.backups.directory)
    found = None if fresh else await asyncio.to_thread(newest, store, target)
    if found is not None:
        with store.using(found):
            yield found
        return
    report("dumping the database")
    with tempfile.TemporaryDirectory(prefix="medianest-console-copy-") as directory:
        tools = await find_tools(await server_major(target), settings.tools, target=target)
        plain = replace(settings.backups, formats=("custom",), role_passwords=False)
        yield await create_backup(target, Store(Path(directory)), plain, tools)


def newest(store: Store, target: Target) -> Backup | None:
    """The newest backup of the target that was verified and can be read."""
    try:
        backups = store.backups(target.name)
    except ConsoleError:
        return None
    return next((b for b in backups if b.verdict is Verdict.PASS and b.archive_path), None)


async def restore(
    backup: Backup, place: Target, settings: Settings, report: Report, *, owned: bool = False
) -> None:
    """Fill `place`, an empty database, and analyze it. Raises ConsoleError kinds.

    With `owned` everything belongs to the role that restores.
    """
    if backup.archive_path is None:
        raise ActionRefused(f"The backup {backup.id} has no archive.", "Use another backup.")
    report(f"restoring {backup.id}")
    made_by = backup.manifest.tools_version.partition(".")[0] if backup.manifest else ""
    needed = max(await server_major(place), int(made_by) if made_by.isdigit() else 0)
    tools = await find_tools(needed, settings.tools, target=place)
    options = LoadOptions(jobs=settings.backups.jobs, search_path=search_path_of(backup.manifest))
    (await load(tools, place, backup.archive_path, options)).require_good()
