"""Let a side server go on from its moment: for a data directory that is ready, or for checks."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from console.backup.store import explained
from console.errors import ActionRefused, CommandFailed
from console.pitr.archive import Archive
from console.pitr.side import Side, Tell, drop, promote_side, read_replay, recover
from console.pitr.side_files import restore_configuration
from console.pitr.targets import Stop
from console.settings import Settings
from console.tools import Tools


@dataclass(frozen=True, slots=True)
class ReadyDirectory:
    """A data directory that was recovered, promoted and shut down cleanly."""

    data: Path
    timeline: int
    major: int
    missing: tuple[str, ...]
    """Configuration files that the base backup did not hold."""
    answer: str
    programs: Path

    @property
    def lines(self) -> tuple[str, ...]:
        """Exactly how to start it."""
        place = shlex.quote(str(self.data))
        lines = [
            f"{self.data} is ready: {self.answer}, timeline {self.timeline}.",
            "Before anything writes to it: stop whatever server it is to replace.",
        ]
        if self.missing:
            lines.append(
                f"Not in the base backup: {', '.join(self.missing)}. Copy them from the old"
                f" server (on Debian from /etc/postgresql/{self.major}/main)."
            )
        lines += [
            f"  chown -R postgres:postgres {place} && chmod 700 {place}",
            f"  sudo -u postgres {self.programs / 'pg_ctl'} -D {place} -l {place}/start.log start",
            f"On Debian instead: move it to /var/lib/postgresql/{self.major}/main, then"
            f" pg_ctlcluster {self.major} main start.",
            f"In a container: mount it as PGDATA of an image of PostgreSQL {self.major}.",
            "Then: medianest-console pitr setup --new-archive, pitr receive, pitr base.",
        ]
        return tuple(lines)


async def write_directory(
    archive: Archive,
    settings: Settings,
    stop: Stop,
    tools: Tools,
    into: Path,
    tell: Tell = lambda line: None,
) -> ReadyDirectory:
    """Recover, promote, shut down cleanly, and put the data directory where it is wanted.

    Raises ActionRefused when something is in `into`, and what `recover` raises; then `into` is not
    there.
    """
    place = into.expanduser().absolute()
    _require_free(place)
    side = await recover(archive, settings, stop, tools, tell, durable=True)
    try:
        if stop.base.manifest is not None and stop.base.manifest.tablespaces:
            raise ActionRefused(
                "The server has tablespaces, whose places must be chosen by hand.",
                "Use `pitr restore`, and take the database from the side server.",
            )
        tell("ending recovery, and shutting down cleanly")
        reached = side.info.reached
        if not side.info.promoted:
            await promote_side(side)
        state = await read_replay(side.target("postgres"))
        await side.server.stop_async()
        missing = await asyncio.to_thread(_move, side, place)
    finally:
        await asyncio.shield(asyncio.to_thread(drop, side))
    return ReadyDirectory(
        data=place,
        timeline=state.timeline if state else 0,
        major=archive.info.major,
        missing=missing,
        answer=reached.answer if reached else "",
        programs=side.server.bin_dir,
    )


def _require_free(place: Path) -> None:
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ActionRefused(
            f"{place} holds something already.", "Choose an absent or empty directory."
        )


def _move(side: Side, place: Path) -> tuple[str, ...]:
    data = side.server.data_directory
    if (data / "postmaster.pid").exists():
        raise CommandFailed(f"The server in {data} has not stopped.", "Try again.")
    missing = restore_configuration(data)
    partial = place.with_name(f".{place.name}.partial")
    with explained(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            shutil.move(data, partial)
            partial.chmod(0o700)
            os.sync()
            if place.exists():
                place.rmdir()
            partial.rename(place)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return missing
