"""medianest-console activity and timings: a look for scripts, and a recorder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from console.monitor.activity import Sample
    from console.monitor.locks import Node
    from console.monitor.timings_reader import TimingsReading
    from console.target import Target

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_BACKOFF = 30.0


def register(commands: Any) -> None:
    _register_activity(commands)
    _register_timings(commands)


def _register_activity(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "activity",
        help="show who is at work and who blocks whom, or record it",
        description="Look at the sessions once, or record looks into a file for `replay`.",
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.add_argument("--all", action="store_true", help="idle sessions too")
    recording = parser.add_argument_group("recording")
    recording.add_argument(
        "--record",
        metavar="FILE",
        type=Path,
        help="write a look a line, without literals; a name ending in .z is compressed",
    )
    recording.add_argument("--every", metavar="SECONDS", type=_seconds, default=1.0)
    recording.add_argument(
        "--for",
        dest="length",
        metavar="TIME",
        type=_seconds,
        help="e.g. 90, 10m, 2h; else until ^C",
    )
    recording.add_argument(
        "--max-mb", metavar="MB", type=_megabytes, default=64, help="end at this size (64)"
    )
    parser.set_defaults(run=run_activity)


def _register_timings(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "timings",
        help="show which statements take the time",
        description="What pg_stat_statements counted, most time first; without it, what looking"
        " at the sessions for a while shows.",
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.add_argument("--top", metavar="N", type=int, default=20, help="so many (20)")
    parser.add_argument(
        "--for",
        dest="length",
        metavar="TIME",
        type=_seconds,
        default=2.0,
        help="how long to look at what changes (2 s)",
    )
    parser.set_defaults(run=run_timings)


def _seconds(text: str) -> float:
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 366 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time such as 90, 10m or 2h")
    return seconds


def _megabytes(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no size in MB from 1 to 100000")
    return int(text)


def run_activity(options: argparse.Namespace) -> ExitCode:
    import asyncio
    import json
    import shutil

    from console.commands.target import settings_and_target
    from console.monitor import text
    from console.output import write

    _, target = settings_and_target(options)
    if options.record is not None:
        return record(target, options)
    sample, tree = asyncio.run(look(target))
    if options.format == "json":
        write(json.dumps(as_json(sample, tree), indent=2, default=str) + "\n")
    else:
        width = shutil.get_terminal_size((160, 24)).columns
        write(text.activity(sample, tree, width, idle=options.all))
    return ExitCode.OK


async def look(target: Target) -> tuple[Sample, list[Node]]:
    """One look, and the tree of those who wait. Raises ConsoleError kinds."""
    from console.monitor.activity import read_activity
    from console.monitor.locks import blocking_tree
    from console.session import Session
    from queries.locks import LOCK_QUEUE

    session = Session(target)
    try:
        sample = await read_activity(session)
        if not any(backend.blocked_by for backend in sample.backends):
            return sample, []
        return sample, blocking_tree(sample.backends, await session.fetch(LOCK_QUEUE))
    finally:
        await session.close()


def as_json(sample: Sample, tree: list[Node]) -> dict[str, Any]:
    from dataclasses import asdict

    from console.monitor.locks import unblocking

    return {
        "at": sample.at.isoformat(),
        "sessions": [asdict(backend) for backend in sample.backends],
        "blocking": [
            {
                "who": node.who,
                "depth": node.depth,
                "waits_for": node.waiting.what if node.waiting else None,
                "seconds": node.waiting.seconds if node.waiting else None,
                "also_blocked_by": node.also_blocked_by,
                "behind": node.behind,
                "unblocking": unblocking(node) if node.is_root else None,
            }
            for node in tree
        ],
    }


def record(target: Target, options: argparse.Namespace) -> ExitCode:
    """Look until the time, the size or the operator ends it; what was written stays readable."""
    import asyncio

    from console.output import tell

    try:
        looks = asyncio.run(_record(target, options))
    except KeyboardInterrupt:
        tell(f"Recorded into {options.record}; see it with: medianest-console replay FILE")
        return ExitCode.OK
    tell(f"{looks} looks recorded into {options.record}.")
    return ExitCode.OK


async def _record(target: Target, options: argparse.Namespace) -> int:
    import asyncio
    import time
    from datetime import UTC, datetime

    from console.errors import ConsoleError
    from console.monitor.activity import read_activity
    from console.monitor.recording import Gap, Heading, Recorder, explained
    from console.session import Session

    session = Session(target)
    started, looks, failures = time.monotonic(), 0, 0
    try:
        await session.connection()
        server = session.server
        assert server is not None
        heading = Heading(target.label, server.version, server.role, datetime.now(UTC))
        with Recorder(options.record, heading, most_bytes=options.max_mb << 20) as recorder:
            while options.length is None or time.monotonic() - started < options.length:
                try:
                    sample = await read_activity(session)
                except ConsoleError as error:
                    failures += 1
                    recorder.add_gap(Gap(datetime.now(UTC), explained(error)))
                else:
                    failures, looks = 0, looks + 1
                    recorder.add(sample)
                pause = min(_LONGEST_BACKOFF, options.every * 2**failures)
                await asyncio.sleep(pause)
    finally:
        await session.close()
    return looks


def run_timings(options: argparse.Namespace) -> ExitCode:
    import asyncio
    import shutil

    from console.commands.target import settings_and_target
    from console.monitor import text
    from console.output import write

    if not 1 <= options.top <= 5000:
        raise SettingsError("--top takes a number from 1 to 5000.")
    _, target = settings_and_target(options)
    reading, limit = asyncio.run(_timings(target, options.length))
    if options.format == "json":
        write(_timings_json(reading, options.top))
    else:
        width = shutil.get_terminal_size((160, 24)).columns
        write(text.timings(reading, options.top, limit, width))
    return ExitCode.OK


async def _timings(target: Target, length: float) -> tuple[TimingsReading, float]:
    """Two readings, so long apart; sampled ones every fifth of a second."""
    import asyncio

    from console.monitor.timings_reader import TimingsReader
    from console.profile import ProfileLimits
    from console.profile_choice import choose
    from console.session import Session

    profile = (await choose(target)).profile
    limits = profile.limits if profile else ProfileLimits()
    session = Session(target)
    try:
        reader = TimingsReader(session)
        reading = await reader.read(length)
        step = min(length, 0.2) if reading.is_sampled else length
        for _ in range(max(1, round(length / step))):
            await asyncio.sleep(step)
            reading = await reader.read(step)
        return reading, limits.mean_query_ms
    finally:
        await session.close()


def _timings_json(reading: TimingsReading, most: int) -> str:
    import json
    from dataclasses import asdict

    statements = [asdict(t) for t in reading.timings[:most]]
    sampled = [asdict(s) for s in reading.sampled[:most]]
    document = {
        "at": reading.at,
        "counted_by": None if reading.is_sampled else f"pg_stat_statements {reading.version}",
        "since": reading.since,
        "problem": reading.ready.message if reading.is_sampled else None,
        "fix": reading.ready.fix or None,
        "statements": statements,
        "sampled": sampled,
    }
    return json.dumps(document, indent=2, default=str) + "\n"
