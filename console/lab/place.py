"""Where an experiment takes place: a copy of the database, or sample data, on a scratch database.

The live database is read at most, for a dump; with consent the scratch database may lie beside it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import psycopg

import queries
from console import units
from console.backup import scratch
from console.backup.copying import restore, to_copy
from console.backup.load import search_path_of
from console.backup.snapshot import server_major
from console.backup.store import Backup
from console.errors import QueryFailed
from console.parameters import Parameters
from console.profile import Profile
from console.session import Limits, connect
from console.settings import Settings
from console.target import Target
from queries.parameters import PARAMETERS

Source = Literal["backup", "copy", "sample"]
Rows = Literal["small", "medium", "large"]
Report = Callable[[str], None]

SAMPLE_MAJOR = 15
"""MediaNest's own; a newer server does where there is none."""

PLANNING = (
    "shared_buffers",
    "effective_cache_size",
    "work_mem",
    "hash_mem_multiplier",
    "random_page_cost",
    "seq_page_cost",
    "cpu_tuple_cost",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "default_statistics_target",
    "max_parallel_workers_per_gather",
    "jit",
)
"""Settings that plans and times depend on: taken over from the live server."""

_COPIES = 2.4
"""Disk that two copies take, of one's size, with room to write."""

_PATIENT = Limits(statement_ms=0, lock_ms=30_000, connect_s=15)


@dataclass(frozen=True, slots=True)
class Place:
    """A scratch database, filled and vacuumed, that an experiment may do anything to."""

    scratch: scratch.Scratch
    source: str
    """What it was filled with, in words."""
    search_path: str = "public"
    """As the database's own sessions have it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to fill it with, and where."""

    source: Source = "backup"
    """backup: the newest verified one, else a dump; copy: a dump made now; sample: no live data."""
    rows: Rows = "medium"
    """Of sample data."""
    on_server: bool = False
    """Beside the live database, instead of on a temporary server."""


@asynccontextmanager
async def filled(
    wanted: Wanted, target: Target, settings: Settings, profile: Profile | None, report: Report
) -> AsyncIterator[Place]:
    """A place that exists for the block. Raises ConsoleError kinds."""
    if wanted.source == "sample":
        async with _sample(wanted.rows, profile, report) as place:
            yield place
        return
    async with AsyncExitStack() as stack:
        fresh = wanted.source == "copy"
        backup = await stack.enter_async_context(to_copy(target, settings, report, fresh=fresh))
        made = await stack.enter_async_context(_scratch(wanted, target, backup, report))
        await restore(backup, made.target, settings, report, owned=True)
        report("vacuuming the copy")
        await settle(made.target)
        yield Place(made, _told(backup, settings), search_path_of(backup.manifest))


def _told(backup: Backup, settings: Settings) -> str:
    if settings.backups.directory not in backup.path.parents:
        return "a dump made for it"
    taken = backup.manifest.taken_at if backup.manifest else None
    return f"the backup {backup.id}" + (f" of {taken:%Y-%m-%d %H:%M} UTC" if taken else "")


@asynccontextmanager
async def _scratch(
    wanted: Wanted, target: Target, backup: Backup, report: Report
) -> AsyncIterator[scratch.Scratch]:
    manifest = backup.manifest
    properties = manifest.properties if manifest else None
    if wanted.on_server:
        report("making a scratch database on the server")
        async with scratch.beside(target, properties, "lab") as made:
            yield made
        return
    report("starting a temporary server")
    size = manifest.database_bytes if manifest else None
    async with scratch.on_temporary_server(
        await server_major(target),
        properties,
        manifest.roles if manifest else (),
        round(size * _COPIES) if size else None,
        await _as_live(target),
    ) as made:
        yield made


async def _as_live(target: Target) -> dict[str, str]:
    """The live server's settings for planning, its cache no larger than this machine bears."""
    found = (await _parameters(target)).by_name
    settings = {name: found[name].setting for name in PLANNING if name in found}
    if "shared_buffers" in settings:
        settings["shared_buffers"] = str(min(int(settings["shared_buffers"]), _most_buffers()))
    return settings


async def _parameters(target: Target) -> Parameters:
    async with connect(target, plans_as_usual=True) as connection:
        return Parameters.of(await queries.fetch(connection, PARAMETERS))


def _most_buffers() -> int:
    """A quarter of this machine's memory, in blocks of 8 kB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4 // 8192


@asynccontextmanager
async def _sample(rows: Rows, profile: Profile | None, report: Report) -> AsyncIterator[Place]:
    """MediaNest's schema with made-up rows; no database needs to be there."""
    from console.demo.sample import SIZES

    given = profile.settings if profile is not None else {}
    settings = {name: given[name] for name in PLANNING if name in given}
    report("starting a temporary server")
    async with scratch.on_temporary_server(SAMPLE_MAJOR, None, (), None, settings) as made:
        await asyncio.to_thread(_fill_sample, made.target, rows, report)
        yield Place(made, f"MediaNest's sample data, {units.count(SIZES[rows])} rows")


def _fill_sample(place: Target, rows: Rows, report: Report) -> None:
    from console.demo.migrations import apply_migrations
    from console.demo.sample import fill

    def told(what: str, share: float | None) -> None:
        report(what if share is None else f"{what}, {units.percent(round(share, 2))}")

    try:
        with psycopg.connect(**dict(place.parameters), autocommit=True) as connection:  # type: ignore[arg-type]
            apply_migrations(connection)
            fill(connection, rows, told)
    except psycopg.Error as error:
        raise QueryFailed(f"The sample data could not be made: {error}") from error


async def settle(place: Target) -> None:
    """Vacuum, so that both copies know which pages all can see, and have the same statistics."""
    async with connect(place, read_only=False, limits=_PATIENT) as connection:
        await connection.execute("VACUUM (ANALYZE)")


async def planning_settings(place: Target) -> dict[str, str]:
    """What the experiment's sessions have, sizes with their unit."""
    found = await _parameters(place)
    return {name: _shown(found, name) for name in PLANNING if name in found.by_name}


def _shown(parameters: Parameters, name: str) -> str:
    found = parameters.by_name[name]
    return units.size(parameters.bytes(name)) if found.unit else found.setting
