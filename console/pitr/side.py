"""A side server: the past of a server, recovered beside it, paused, and looked at.

It runs from a copy of a base backup, on a private socket, without archiving, replication or jobs.
SIDE/NAME/ holds it: a local server's directory with `side.json`, which says what it is.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import queries
from console.backup import jsonfile
from console.backup.store import explained
from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.local_server import LocalServer, find_binaries
from console.pitr.archive import Archive
from console.pitr.base import find_base
from console.pitr.control import demanded_settings
from console.pitr.names import lsn, lsn_text
from console.pitr.reached import Reached, compare
from console.pitr.side_files import prepare_configuration
from console.pitr.stage import copy_base, install_wal, stage_wal
from console.pitr.targets import Stop
from console.process import first_error
from console.server_binaries import server_account
from console.session import Limits, connect
from console.settings import Settings
from console.target import Target
from console.tools import Tools, with_database
from queries.pitr import RECOVERY_LOCKS, REPLAY_STATE, ReplayState, promote

FILE = "side.json"
_STAGED = "staged-wal"
_START_SECONDS = 24 * 3600.0
_POLL_SECONDS = 0.02
_PATIENT = Limits(statement_ms=0, lock_ms=30_000, connect_s=15)
_LOOKING = Limits(statement_ms=30_000, lock_ms=5_000, connect_s=10)
_SHARED = Path("/var/tmp/medianest-console-side")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SideInfo:
    """What a side server is, and how far it was recovered."""

    name: str
    target: str
    database: str
    superuser: str
    base: str
    timeline: int
    asked: str
    """In words."""
    lsn: str
    inclusive: bool
    created_at: datetime
    major: int
    reached: Reached | None = None
    promoted: bool = False


@dataclass(slots=True)
class Side:
    """One side server; `server` is the process's own view of it."""

    info: SideInfo
    server: LocalServer

    @property
    def directory(self) -> Path:
        return self.server.directory.path

    @property
    def running(self) -> bool:
        return self.server.occupant() is not None

    def target(self, database: str = "") -> Target:
        """How the console opens it. Raises ActionRefused while it does not run."""
        if not self.running:
            raise ActionRefused(
                f"The side server {self.info.name} does not run.", "Recover it again, or drop it."
            )
        if not self.server.running:
            self.server.adopt()
        parameters = self.server.conninfo(database or self.info.database, self.info.superuser)
        return Target(f"{self.info.target} at {self.info.name}", parameters)

    @property
    def dsn(self) -> str:
        """For --dsn, or psql: no password is needed on its private socket."""
        parameters = self.target().parameters
        return " ".join(f"{k}={parameters[k]}" for k in ("host", "port", "user", "dbname"))


def side_root(archive: Archive, settings: Settings) -> Path:
    """Where side servers of an archive live. Root lends them to an account that must get there."""
    named = settings.pitr.side_directory
    if named is not None:
        return named.expanduser() / archive.directory.name
    if server_account() is not None:
        return _SHARED / archive.directory.name
    return archive.directory / "side"


def sides(archive: Archive, settings: Settings) -> tuple[Side, ...]:
    """Every side server of the archive, the newest first."""
    root = side_root(archive, settings)
    found = []
    for path in sorted(root.glob(f"*/{FILE}"), reverse=True):
        try:
            info = jsonfile.decode(jsonfile.read(path), SideInfo)
        except (OSError, ValueError):
            continue
        found.append(Side(info, _server(archive, path.parent)))
    return tuple(found)


def find_side(archive: Archive, settings: Settings, name: str = "") -> Side:
    """By its name's beginning; the only one when no name is given. Raises ActionRefused."""
    found = [side for side in sides(archive, settings) if side.info.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    problem = "There is no side server" if not found else "There are several side servers"
    raise ActionRefused(
        f"{problem}{f' {name}' if name else ''}.", "`pitr sides` lists them, with their names."
    )


def _server(archive: Archive, directory: Path, tools: Tools | None = None) -> LocalServer:
    own = tools.directory if tools is not None else None
    if own is None or not (own / "postgres").exists():
        own = find_binaries(archive.info.major)
    return LocalServer(own, directory, keep_running=True, start_timeout=_START_SECONDS)


async def recover(
    archive: Archive,
    settings: Settings,
    stop: Stop,
    tools: Tools,
    tell: Tell = lambda line: None,
    *,
    durable: bool = False,
) -> Side:
    """Make a side server and recover it to `stop`, where it is paused and has been compared.

    Raises ActionRefused when WAL that is needed is missing or damaged (nothing was started then),
    CommandFailed when recovery fails or ends anywhere else than asked. On any error nothing of it
    is left. `durable` has its files written for good, for a data directory that is to be kept.
    """
    directory = side_root(archive, settings) / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    server = _server(archive, directory, tools)
    side = Side(_info(archive, directory.name, stop), server)
    try:
        await asyncio.to_thread(server.directory.claim)
        began = time.monotonic()
        await _fill(archive, side, stop, tools, tell)
        await _start(archive, side, stop, tools, durable=durable)
        return await _wait(side, stop, began, tell)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(drop, side))
        raise


def _info(archive: Archive, name: str, stop: Stop) -> SideInfo:
    return SideInfo(
        name=name,
        target=archive.target,
        database=archive.info.database,
        superuser=archive.info.superuser,
        base=stop.base.id,
        timeline=stop.run.history.timeline,
        asked=stop.wanted.words,
        lsn=lsn_text(stop.lsn),
        inclusive=stop.inclusive,
        created_at=datetime.now(UTC),
        major=archive.info.major,
    )


async def _fill(archive: Archive, side: Side, stop: Stop, tools: Tools, tell: Tell) -> None:
    tell(f"copying base backup {stop.base.id}, and checking the WAL behind it")
    staged = side.directory / _STAGED
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(copy_base(archive, stop.base, side.server.data_directory, tools))
            tasks.create_task(stage_wal(archive, stop.base, stop.run, stop.lsn, staged, tools))
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    await asyncio.to_thread(install_wal, staged, side.server.data_directory)


async def _start(
    archive: Archive, side: Side, stop: Stop, tools: Tools, *, durable: bool = False
) -> None:
    data = side.server.data_directory
    changes = [
        event
        for sealed in stop.run.stretch.fresh().ledger.values()
        for event in sealed.notable
        if event.kind == "parameters"
    ]
    demanded = await demanded_settings(data, changes, tools)
    await asyncio.to_thread(prepare_configuration, data, stop, demanded, durable=durable)
    await asyncio.to_thread(side.server.give, data)
    tablespaces = side.directory / "tablespaces"
    if tablespaces.exists():
        await asyncio.to_thread(side.server.give, tablespaces)
    await asyncio.to_thread(write_info, side)
    await side.server.start_async()


def write_info(side: Side) -> None:
    """Raises CommandFailed."""
    with explained(side.directory):
        jsonfile.write(side.directory / FILE, jsonfile.encode(side.info))


async def _wait(side: Side, stop: Stop, began: float, tell: Tell) -> Side:
    """Until it is paused at the target; then hold it against what was asked."""
    tell(f"replaying to {lsn_text(stop.lsn)}")
    state = await _paused(side)
    found = compare(stop, state, round(time.monotonic() - began, 3))
    side.info = replace(side.info, reached=found)
    if not found.as_asked:
        raise CommandFailed(
            f"Recovery stopped elsewhere than asked: {found.answer}.",
            "Nothing of it is left; run `pitr audit`, and use an earlier moment or another base.",
        )
    await asyncio.to_thread(write_info, side)
    return await _open_if_locked(side, tell)


async def _paused(side: Side) -> ReplayState:
    target = side.target()
    while True:
        if not side.server.running:
            raise CommandFailed(
                f"Recovery failed: {side.server.complaint()}.", "`pitr audit` reads all of the WAL."
            )
        state = await read_replay(target)
        if state is not None and (state.is_paused or not state.in_recovery):
            return state
        await asyncio.sleep(_POLL_SECONDS)


async def read_replay(target: Target) -> ReplayState | None:
    """Where it stands; None when it does not answer."""
    try:
        async with connect(with_database(target, "postgres"), limits=_LOOKING) as connection:
            return await queries.fetch_one(connection, REPLAY_STATE)
    except ConsoleError:
        return None  # it is ending: the caller looks whether it still runs


async def promote_side(side: Side) -> Side:
    """End recovery: the copy takes writes, on a timeline of its own. Raises ConsoleError kinds."""
    target = side.target("postgres")
    async with connect(target, read_only=False, limits=_PATIENT) as connection:
        await connection.execute(promote())
    state = await read_replay(target)
    if state is None or state.in_recovery:
        raise CommandFailed(
            f"The side server did not end its recovery: {side.server.complaint()}.",
            "Drop it, and recover again.",
        )
    side.info = replace(side.info, promoted=True)
    await asyncio.to_thread(write_info, side)
    return side


async def _open_if_locked(side: Side, tell: Tell) -> Side:
    """End recovery when a transaction that had not ended there locks tables for everybody.

    What was committed stays exactly as it was; the unfinished transaction is rolled back.
    """
    async with connect(side.target("postgres"), limits=_LOOKING) as connection:
        locks = await queries.fetch_one(connection, RECOVERY_LOCKS)
    if not locks.relations:
        return side
    tell("an unfinished transaction locks tables there: ending recovery, so that they can be read")
    return await promote_side(side)


async def move(
    archive: Archive,
    side: Side,
    stop: Stop,
    tools: Tools,
    tell: Tell = lambda line: None,
) -> Side:
    """Take a side server to another moment: on from where it is, or anew for an earlier one.

    Raises what `recover` raises; after an error the side server is stopped and stays as it is.
    """
    now = await read_replay(side.target()) if side.running else None
    await side.server.stop_async()
    began = time.monotonic()
    on = (
        now is not None
        and not side.info.promoted
        and now.replayed_lsn is not None
        and lsn(now.replayed_lsn) <= stop.lsn
    )
    same = stop.run.history.timeline == side.info.timeline
    if on and same and stop.base.id >= side.info.base:
        staged = side.directory / _STAGED
        tell("going on from where it is")
        stop = replace(stop, base=find_base(archive, side.info.base))
        await stage_wal(archive, stop.base, stop.run, stop.lsn, staged, tools)
        await asyncio.to_thread(install_wal, staged, side.server.data_directory)
    else:
        tell("beginning anew from the base backup")
        await asyncio.to_thread(_clear, side)
        await _fill(archive, side, stop, tools, tell)
    info = _info(archive, side.info.name, stop)
    side.info = replace(info, created_at=side.info.created_at)
    await _start(archive, side, stop, tools)
    return await _wait(side, stop, began, tell)


def _clear(side: Side) -> None:
    with explained(side.directory):
        for name in ("data", "tablespaces", _STAGED):
            if (side.directory / name).exists():
                shutil.rmtree(side.directory / name)


def drop(side: Side) -> None:
    """Stop a side server and remove all of it. Raises CommandFailed."""
    if side.running:
        if not side.server.running:
            side.server.adopt()
        side.server.stop(immediately=True)
    if side.directory.exists():
        with explained(side.directory):
            side.server.directory.remove_contents()
            shutil.rmtree(side.directory)
