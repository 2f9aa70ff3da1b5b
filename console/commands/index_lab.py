"""medianest-console index-lab: what indexes gain and cost, measured on a copy."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from console.lab.experiment import LabOptions
    from console.lab.place import Source
    from console.profile import Profile
    from console.target import Target

_EPILOG = (
    "The live database is read at most: for its statements, and for a dump where no verified backup"
    " is there. The result is kept for the next readiness report. Exit code: 0 when something was"
    " measured."
)


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "index-lab",
        help="measure what indexes gain and cost, on a copy",
        description="Run the workload with and without indexes, by turns, on copies of the"
        " database, and report the difference with its spread.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_target_options(parser)
    _add_what(parser.add_argument_group("what to try"))
    _add_where(parser.add_argument_group("on what"))
    parser.add_argument("--profile", metavar="NAME", help="a bundled profile, or a profile file")
    parser.add_argument("--rounds", type=_number(3, 101), default=9, metavar="N", help="default: 9")
    parser.add_argument(
        "--runs",
        type=_number(1, 1000),
        default=10,
        metavar="N",
        help="of each statement in a round, each with other values; default: 10",
    )
    parser.add_argument("--format", choices=["text", "markdown", "json"], default="text")
    parser.set_defaults(run=run_lab)


def _add_what(group: Any) -> None:
    group.add_argument(
        "--index",
        action="append",
        default=[],
        metavar="NAME",
        help="an index of the database or the profile; default: the profile's, those that guard"
        " nothing",
    )
    group.add_argument(
        "--critical", action="store_true", help="the indexes the profile calls critical"
    )
    group.add_argument(
        "--candidate",
        action="append",
        default=[],
        metavar="SQL",
        help="'CREATE INDEX ...', to be tried on the copy; again for another",
    )
    group.add_argument(
        "--candidates",
        action="store_true",
        help="those that the slowest statements would like to have",
    )
    group.add_argument(
        "--query",
        action="append",
        default=[],
        metavar="SQL",
        help="measure this statement instead of the workload; again for another",
    )


def _add_where(group: Any) -> None:
    group.add_argument(
        "--fresh", action="store_true", help="a dump made now, instead of the newest backup"
    )
    group.add_argument(
        "--rows",
        choices=["small", "medium", "large"],
        help="MediaNest's sample data (5,000, 200,000 or 5,000,000 rows) instead of live data",
    )
    group.add_argument(
        "--on-server",
        action="store_true",
        help="in scratch databases beside the live one, instead of on a temporary server",
    )


def _number(least: int, most: int) -> Any:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text[:9]) <= most):
            raise argparse.ArgumentTypeError(f"a whole number from {least} to {most}")
        return int(text)

    return number


def run_lab(options: argparse.Namespace) -> ExitCode:
    import asyncio

    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> ExitCode:
    from console.commands.target import settings_and_target
    from console.lab.experiment import experiment
    from console.lab.result import keep, path_of
    from console.lab.text import FORMATS
    from console.output import tell, write

    settings, target = settings_and_target(options)
    if options.on_server and (options.read_only or settings.read_only):
        raise ActionRefused(
            "--on-server makes scratch databases there, and --read-only forbids it.",
            "Leave one of them out.",
        )
    if options.rows and (options.fresh or options.on_server):
        raise ActionRefused(
            "--rows takes sample data on a temporary server, and no live data.",
            "Leave out --fresh and --on-server, or --rows.",
        )
    profile = await _profile(target, options)
    result = await experiment(target, settings, profile, _wanted(options, profile), _once(tell))
    keep(result, path_of(target.label))
    write(FORMATS[options.format](result))
    return ExitCode.OK if result.queries else ExitCode.UNKNOWN


async def _profile(target: Target, options: argparse.Namespace) -> Profile | None:
    """With sample data it is MediaNest's, and no server needs to answer."""
    from console.profile import load
    from console.profile_choice import choose

    if options.rows:
        return load(options.profile or "medianest")
    return (await choose(target, options.profile)).profile


def _wanted(options: argparse.Namespace, profile: Profile | None) -> LabOptions:
    from console.lab.experiment import LabOptions
    from console.lab.place import Wanted

    source: Source = "sample" if options.rows else "copy" if options.fresh else "backup"
    names = [*options.index]
    if options.critical:
        critical = profile.critical_indexes if profile is not None else ()
        names += sorted(name for _schema, name in critical)
    return LabOptions(
        Wanted(source, options.rows or "medium", options.on_server),
        tuple(dict.fromkeys(names)),
        tuple(options.candidate),
        options.candidates,
        tuple(options.query),
        rounds=options.rounds,
        runs=options.runs,
    )


def _once(tell: Any) -> Any:
    """A report that leaves out what it just said: progress repeats its phase."""
    last = ""

    def report(phase: str) -> None:
        nonlocal last
        if phase != last:
            last = phase
            tell(f"{phase} ...")

    return report
