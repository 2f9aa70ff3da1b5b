"""Have pgBackRest restore: beside, onto a server of our own, or in place of a server that is down.

A restored clone carries the original's archive_command: it would write into the original's
archive. So beside, archiving is off twice over (pgBackRest's --archive-mode, and our own
configuration), every tablespace is mapped below the new directory, and the server is read-only, on
a private socket.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from console.backup import jsonfile
from console.backup.manifest import Check, Verdict, proof
from console.backup.store import explained
from console.errors import ActionRefused, CommandFailed, ConnectionFailed, ConsoleError
from console.local_server import LocalServer, find_binaries
from console.pgbackrest.backrest import Backrest
from console.pgbackrest.describe import Lines
from console.pgbackrest.info import Stanza, read_stanza
from console.pgbackrest.proofs import keep_drilled
from console.pitr.control import demanded_settings
from console.pitr.side import FILE, Side, SideInfo, drop, read_replay, write_info
from console.pitr.side_files import write_configuration
from console.pitr.targets import Wanted
from console.pitr.tooling import tools_for
from console.session import Limits, connect
from console.settings import Settings
from console.target import Target

_START_SECONDS = 24 * 3600.0
_POLL_SECONDS = 0.05
_LOOKING = Limits(statement_ms=30_000, lock_ms=5_000, connect_s=10)

_SET = re.compile(r"restore backup set (\S+?),? ")
_GOAL = re.compile(r"^(restore_command|recovery_target\w*) = '(.*)'$", re.MULTILINE)

_TOO_EARLY = "recovery ended before configured recovery target was reached"
"""PostgreSQL stops at a moment only when it sees a commit behind it."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    side: Side
    label: str
    """The backup that pgBackRest chose."""
    seconds: float
    """Until the copy could be read."""


async def restore_beside(
    backrest: Backrest,
    target: Target,
    settings: Settings,
    directory: Path,
    wanted: Wanted,
    label: str,
    tell: Tell,
) -> Restored:
    """Restore into an absent or empty `directory`, recover there, and have it ready to be read.

    `label` names the backup to begin with, '' for the one that fits. The result counts as a drill
    of that backup. Raises ActionRefused where that cannot be begun, CommandFailed when it failed:
    nothing of it is left then.
    """
    _require_ours(backrest, f"--pg1-path={directory} --archive-mode=off")
    directory = directory.expanduser().absolute()
    _require_empty(directory)
    stanza = await read_stanza(backrest)
    major = _major(stanza)
    server = LocalServer(
        find_binaries(major), directory, keep_running=True, start_timeout=_START_SECONDS
    )
    existed = directory.exists()
    side = Side(_info(target, directory, stanza, wanted, major), server)
    began = time.monotonic()
    await asyncio.to_thread(server.directory.claim)
    try:
        chosen = await _fill(backrest, server, wanted, label, tell)
        await _start(side, settings, major, tell)
        side.info = replace(side.info, base=chosen)
        await _settle(side)
        await _look(side)
        await asyncio.to_thread(write_info, side)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(_take_back, side, existed))
        raise
    restored = Restored(side, chosen, time.monotonic() - began)
    await asyncio.to_thread(_keep, target.name, stanza, restored)
    return restored


async def restore_in_place(
    backrest: Backrest, target: Target, wanted: Wanted, label: str, tell: Tell
) -> str:
    """Restore over the data directory of the stanza's own server; the label that was chosen.

    What is the same there already stays (--delta). Raises ActionRefused while the server answers,
    CommandFailed when pgBackRest refuses, as it does while postmaster.pid is there.
    """
    _require_ours(backrest, "--delta")
    await _require_down(target)
    options = ("--delta", *_goal(wanted, "promote"), *_set(label))
    finished, _ = await backrest.drive("restore", *options, tell=Lines(tell))
    return _chosen(finished.lines)


def find_restored(directory: Path) -> Side:
    """A copy that `restore_beside` made. Raises ActionRefused for any other directory."""
    directory = directory.expanduser().absolute()
    try:
        info = jsonfile.decode(jsonfile.read(directory / FILE), SideInfo)
    except (OSError, ValueError):
        raise ActionRefused(
            f"{directory} holds no copy that the console restored.",
            "Name the directory that was given to `pgbackrest restore --into`.",
        ) from None
    return Side(info, LocalServer(find_binaries(info.major), directory, keep_running=True))


def _require_ours(backrest: Backrest, options: str) -> None:
    if not backrest.settings.is_ours:
        raise ActionRefused(
            "pgBackRest runs elsewhere or as somebody else here, and so would what it restores.",
            f"Run it there: {backrest.by_hand('restore')} {options}",
        )


def _require_empty(directory: Path) -> None:
    with explained(directory):
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise ActionRefused(
                f"{directory} is not empty.", "Choose an empty or absent directory."
            )


async def _require_down(target: Target) -> None:
    try:
        async with connect(target, limits=_LOOKING):
            answers = True
    except ConsoleError as error:
        # Its kinds come from a server that runs; ConnectionFailed itself from none.
        answers = type(error) is not ConnectionFailed
    if answers:
        raise ActionRefused(
            f"The server of {target.label} is running: nothing is restored over it.",
            "Restore beside it with --into DIRECTORY; or stop it first.",
        )


def _major(stanza: Stanza) -> int:
    version = stanza.cluster.version.partition(".")[0] if stanza.cluster else ""
    if not version.isdigit() or not stanza.backups:
        raise ActionRefused(
            f"The stanza {stanza.name} holds no backup to restore ({stanza.message}).",
            "`medianest-console pgbackrest status` says what it holds.",
        )
    return int(version)


def _info(target: Target, directory: Path, stanza: Stanza, wanted: Wanted, major: int) -> SideInfo:
    return SideInfo(
        name=directory.name,
        target=target.name,
        database=target.dbname,
        superuser=target.user,
        base="",
        timeline=0,
        asked="the end of the archive" if wanted.kind == "latest" else wanted.words,
        lsn="",
        inclusive=not wanted.before,
        created_at=datetime.now(UTC),
        major=major,
    )


def _goal(wanted: Wanted, action: str) -> tuple[str, ...]:
    if wanted.kind == "latest":
        return ("--type=default",)
    text = wanted.text
    if wanted.kind == "time":
        text = f"{wanted.time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"
    exclusive = ("--target-exclusive",) if wanted.before and wanted.kind != "name" else ()
    return (
        f"--type={wanted.kind}",
        f"--target={text}",
        f"--target-action={action}",
        *exclusive,
    )


def _set(label: str) -> tuple[str, ...]:
    return (f"--set={label}",) if label else ()


async def _fill(
    backrest: Backrest, server: LocalServer, wanted: Wanted, label: str, tell: Tell
) -> str:
    tablespaces = server.directory.path / "tablespaces"
    await asyncio.to_thread(_make, backrest, server.data_directory, tablespaces)
    finished, _ = await backrest.drive(
        "restore",
        f"--pg1-path={server.data_directory}",
        f"--tablespace-map-all={tablespaces}",
        "--archive-mode=off",
        *_goal(wanted, "pause"),
        *_set(label),
        tell=Lines(tell),
    )
    await asyncio.to_thread(server.give, server.data_directory)
    await asyncio.to_thread(server.give, tablespaces)
    return _chosen(finished.lines)


def _make(backrest: Backrest, *directories: Path) -> None:
    account = backrest.account
    for path in directories:
        with explained(path):
            path.mkdir(mode=0o700)
            if account is not None:
                os.chown(path, account.uid, account.gid)


def _chosen(lines: tuple[str, ...]) -> str:
    return next((match[1] for line in lines if (match := _SET.search(line))), "")


async def _start(side: Side, settings: Settings, major: int, tell: Tell) -> None:
    data = side.server.data_directory
    with explained(data):
        written = (data / "postgresql.auto.conf").read_text()
    goal = {name: text.replace("''", "'") for name, text in _GOAL.findall(written)}
    tools = await tools_for(major, settings)
    demanded = await demanded_settings(data, (), tools)
    await asyncio.to_thread(write_configuration, data, {**demanded, **goal})
    await asyncio.to_thread(side.server.give, data)
    tell("replaying WAL from the archive")
    try:
        await side.server.start_async()
    except CommandFailed as error:
        raise _recovery_failed(side) from error


async def _settle(side: Side) -> None:
    """Until it is paused at what was asked for, or has come to the end of the WAL."""
    target = side.target()
    while True:
        if not side.server.running:
            raise _recovery_failed(side)
        state = await read_replay(target)
        if state is not None and (state.is_paused or not state.in_recovery):
            side.info = replace(
                side.info,
                lsn=state.replayed_lsn or "",
                timeline=state.timeline,
                promoted=not state.in_recovery,
            )
            return
        await asyncio.sleep(_POLL_SECONDS)


def _recovery_failed(side: Side) -> CommandFailed:
    complaint = side.server.complaint()
    hint = "Nothing of it is left; name another moment, or an earlier backup with --set."
    if _TOO_EARLY in complaint:
        hint = (
            "Nothing that was committed after that moment is in the archive yet: leave the moment"
            " out for all there is, or have the rest archived by `pgbackrest check` first."
        )
    return CommandFailed(f"Recovery failed: {complaint}.", hint)


async def _look(side: Side) -> None:
    """The target's own database is there and can be read. Raises ConsoleError kinds."""
    async with connect(side.target(), limits=_LOOKING):
        return


def _take_back(side: Side, existed: bool) -> None:
    """Remove what was begun; a directory that was there before stays, empty."""
    drop(side)
    if existed:
        with explained(side.directory):
            side.directory.mkdir(mode=0o700, exist_ok=True)


def _keep(target: str, stanza: Stanza, restored: Restored) -> None:
    checks = [
        Check(
            f"restored and recovered to {restored.side.info.asked}",
            Verdict.PASS,
            f"readable at {restored.side.info.lsn or 'the end of its WAL'}",
        )
    ]
    place = f"a side server of PostgreSQL {restored.side.info.major}"
    seconds = restored.seconds
    found = proof("drill", checks, seconds, place=place, restore_seconds=round(seconds, 3))
    keep_drilled(target, stanza, restored.label, found)
