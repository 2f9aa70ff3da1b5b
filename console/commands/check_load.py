"""medianest-console check --load: latency under load, on a copy of the database."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from console.reporting.model import Readiness

_MOST_CLIENTS = 500
_LONGEST_SECONDS = 3600


def add_load_options(parser: argparse.ArgumentParser) -> None:
    load = parser.add_argument_group("load test, on a temporary server and never the live database")
    load.add_argument(
        "--load",
        action="store_true",
        help="instead of checking, let clients work as pgbench does, and report p50, p95, p99 and"
        " the longest",
    )
    load.add_argument(
        "--clients",
        type=_from_1_to(_MOST_CLIENTS),
        metavar="N",
        help="at once; default: the profile's, 20",
    )
    load.add_argument(
        "--script",
        action="append",
        default=[],
        metavar="FILE[@WEIGHT]",
        help="a script of pgbench to run on a copy of the database; else pgbench's own tables",
    )
    load.add_argument(
        "--seconds", type=_from_1_to(_LONGEST_SECONDS), metavar="N", help="how long; default: 30"
    )


def _from_1_to(most: int) -> Any:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= most):
            raise argparse.ArgumentTypeError(f"a whole number from 1 to {most}")
        return int(text)

    return number


def run_load(options: argparse.Namespace) -> ExitCode:
    import asyncio

    from console.findings import exit_code
    from console.output import write
    from console.reporting.formats import FORMATS

    readiness = asyncio.run(_measured(options))
    write(FORMATS[options.format](readiness))
    return exit_code(readiness.verdict, fail_on_warning=options.fail_on == "warning")


async def _measured(options: argparse.Namespace) -> Readiness:
    from datetime import UTC, datetime

    from console.commands.target import settings_and_target
    from console.loadtest.measure import LoadOptions, measure
    from console.loadtest.result import keep, path_of, section
    from console.loadtest.script import read_scripts
    from console.output import tell
    from console.profile import ProfileLimits
    from console.profile_choice import choose
    from console.report import Report
    from console.reporting.model import Readiness

    started = datetime.now(UTC)
    settings, target = settings_and_target(options)
    choice = await choose(target, options.profile)
    limits = choice.profile.limits if choice.profile is not None else ProfileLimits()
    wanted = LoadOptions(
        options.clients or limits.connections,
        options.seconds or LoadOptions().seconds,
        limits.mean_query_ms,
        read_scripts(options.script),
    )
    result = await measure(target, settings, wanted, lambda phase: tell(f"{phase} ..."))
    keep(result, path_of(target.label))
    part = section(result)
    name = choice.profile.name if choice.profile is not None else None
    report = Report(
        target.label,
        result.server_version,
        target.user,
        name,
        choice.reason,
        started,
        result.at,
        part.results,
    )
    return Readiness(report, (part,))
