"""Put a copy of the database on a temporary server and let pgbench's clients work on it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from console.backup import scratch
from console.backup.copying import restore, to_copy
from console.backup.snapshot import server_major
from console.loadtest.latency import Latency, read_log
from console.loadtest.result import LoadResult
from console.loadtest.script import TPCB, Script
from console.process import run
from console.settings import Settings
from console.target import Target
from console.tools import Tools, dbname_argument, find_tools

_SPARE_CONNECTIONS = 20
_MOST_THREADS = 4
_AS_IN_PRODUCTION = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "256MB",
}
"""A temporary server is careless with its data; commits would be far too quick."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    clients: int = 20
    seconds: int = 30
    limit_ms: float = 50.0
    scripts: tuple[Script, ...] = ()
    """None: pgbench's own, in tables of its own."""


def silent(phase: str) -> None:
    """A report that nobody reads."""


async def measure(
    target: Target,
    settings: Settings,
    options: LoadOptions,
    report: Callable[[str], None] = silent,
) -> LoadResult:
    """Latency of each script under load, on a temporary server of this machine.

    The live database is only read: its newest verified backup is used, else it is dumped. Raises
    ConsoleError kinds: no tools or server to be had, no room, a script that fails.
    """
    major = await server_major(target)
    tools = await find_tools(major, settings.tools, programs=("pgbench", "pg_restore", "psql"))
    async with AsyncExitStack() as stack:
        backup = None
        if options.scripts:
            backup = await stack.enter_async_context(to_copy(target, settings, report))
        manifest = backup.manifest if backup is not None else None
        report("starting a temporary server")
        place = await stack.enter_async_context(
            scratch.on_temporary_server(
                major,
                manifest.properties if manifest else None,
                manifest.roles if manifest else (),
                manifest.database_bytes if manifest else None,
                _server_settings(options),
            )
        )
        if backup is not None:
            await restore(backup, place.target, settings, report)
        else:
            await _make_tables(place.target, options, tools, report)
        report(f"working with {options.clients} clients for {options.seconds} s")
        latencies = await _work(tools, place.target, options)
    source = f"a copy of {backup.id}" if backup is not None else "pgbench's own tables"
    return LoadResult(
        datetime.now(UTC),
        options.clients,
        float(options.seconds),
        options.limit_ms,
        tools.version,
        place.place,
        source,
        latencies,
    )


def _server_settings(options: LoadOptions) -> dict[str, str]:
    return {**_AS_IN_PRODUCTION, "max_connections": str(options.clients + _SPARE_CONNECTIONS)}


async def _make_tables(
    place: Target, options: LoadOptions, tools: Tools, report: Callable[[str], None]
) -> None:
    report("making pgbench's tables")
    # With fewer branches than clients these wait for each other's updates.
    await _pgbench(tools, place, "--initialize", "--quiet", f"--scale={options.clients}")


async def _work(tools: Tools, place: Target, options: LoadOptions) -> tuple[Latency, ...]:
    scripts = options.scripts or (TPCB,)
    with tempfile.TemporaryDirectory(prefix="medianest-console-load-") as name:
        directory = Path(name)
        threads = min(options.clients, os.cpu_count() or 1, _MOST_THREADS)
        await _pgbench(
            tools,
            place,
            "--no-vacuum",
            "--protocol=prepared",
            f"--client={options.clients}",
            f"--jobs={threads}",
            f"--time={options.seconds}",
            "--log",
            f"--log-prefix={directory / 'log'}",
            *_script_arguments(scripts, directory),
        )
        names = [script.name for script in scripts]
        return await asyncio.to_thread(lambda: read_log(_lines(directory), names))


def _script_arguments(scripts: Sequence[Script], directory: Path) -> list[str]:
    arguments = []
    for number, script in enumerate(scripts):
        if script.is_builtin:
            arguments.append(f"--builtin={script.name}@{script.weight}")
            continue
        path = directory / f"script{number}.sql"
        path.write_text(script.text, encoding="utf-8")
        arguments.append(f"--file={path}@{script.weight}")
    return arguments


def _lines(directory: Path) -> Iterator[str]:
    for path in directory.glob("log.*"):
        with path.open(encoding="utf-8") as file:
            yield from file


async def _pgbench(tools: Tools, place: Target, *arguments: str) -> None:
    with tools.command(place, "pgbench", *arguments, dbname_argument(place.dbname)) as command:
        finished = await run(command)
    if finished.returncode != 0:
        raise finished.failure("The load test failed", "Look at the script it names.")
