"""medianest-console check: the readiness report, and its verdict as exit code."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.commands.check_load import add_load_options, run_load
from console.commands.each import add_all_option, on_each
from console.commands.plain import add_plain_option, wants_plain
from console.errors import ActionRefused, ConsoleError, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from console.check_settings import CheckSettings
    from console.report import Report
    from console.target import Target

_EPILOG = (
    "Two groups of checks run by default. readiness (schema, data, migrations, speed) makes the"
    " verdict. advice (index, foreign-key, table, column, server, security, settings, storage) is"
    " told beside it, and changes it only by a failure. The category integrity reads whole tables"
    " for damage and runs when named. What is named with --only decides, and spares no effort. The"
    " list of all: medianest-console checks list; thresholds, silences and what runs by default:"
    " `checks` in the settings."
    " Exit code: 0 all is well, 1 warnings (with --fail-on), 2 failures, 3 something could"
    " not be checked or reached, also a mistake in the command line or the settings."
)


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "check",
        help="check that the database is ready, and report",
        description="Check that the database is what its profile expects, sound and quick enough.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument(
        "action", nargs="?", choices=["list"], metavar="list", help="list the checks instead"
    )
    parser.add_argument(
        "--profile", metavar="NAME|FILE", help="a bundled profile (medianest) or a profile file"
    )
    add_report_options(parser)
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        metavar="ID",
        help="only these checks, categories (schema, security ...) or groups; see below",
    )
    add_all_option(parser)
    add_load_options(parser)
    parser.set_defaults(run=run_checks)
    catalogue = commands.add_parser(
        "checks", help="list the checks", description="Every check there is.", allow_abbrev=False
    )
    catalogue.add_argument("action", choices=["list"], metavar="list")
    catalogue.add_argument("--format", choices=["text", "markdown", "json"], default="text")
    catalogue.set_defaults(run=list_checks)


def add_report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=["text", "markdown", "json"], default="text", help="of the report"
    )
    parser.add_argument(
        "--fail-on",
        choices=["advice", "warning", "failure"],
        default="failure",
        help="exit with 1 when there are warnings; advice: also when only advice warns",
    )
    add_plain_option(parser)


def run_checks(options: argparse.Namespace) -> ExitCode:
    if options.action == "list":
        return list_checks(options)
    loads = options.load or options.clients or options.seconds or options.script
    if options.all and loads:
        raise ActionRefused("A load is put on one target at a time.", "Name it with --target.")
    if loads:
        return run_load(options)
    if not options.all:
        return _check_one(options)
    return _list_of_all(options) if options.format == "json" else on_each(options, _check_one)


def _check_one(options: argparse.Namespace) -> ExitCode:
    from console.commands.target import settings_and_target

    settings, target = settings_and_target(options)
    return report_on(target, options, backups=settings.backups.directory, settings=settings.checks)


def _list_of_all(options: argparse.Namespace) -> ExitCode:
    """One JSON document: what each target's report, or error, is."""
    import asyncio
    import json

    from console.commands.target import settings_and_target
    from console.output import write
    from console.report import FORMATS

    entries: list[dict[str, object]] = []

    def one(chosen: argparse.Namespace) -> ExitCode:
        try:
            settings, target = settings_and_target(chosen)
            report = asyncio.run(
                examine(
                    target,
                    chosen.profile,
                    chosen.only,
                    settings.backups.directory,
                    settings.checks,
                )
            )
        except ConsoleError as error:
            entries.append({"target": chosen.target, "error": error.message, "hint": error.hint})
            raise
        entries.append({"target": chosen.target, "report": json.loads(FORMATS["json"](report))})
        return _verdict(report, chosen)

    code = on_each(options, one, headed=False)
    write(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    return code


def list_checks(options: argparse.Namespace) -> ExitCode:
    from console.checks.catalogue import FORMATS
    from console.output import write

    write(FORMATS[options.format]())
    return ExitCode.OK


def report_on(
    target: Target,
    options: argparse.Namespace,
    *,
    backups: Path | None = None,
    settings: CheckSettings | None = None,
) -> ExitCode:
    """Examine, print the report, and say its verdict."""
    import asyncio

    from console import plain
    from console.check_settings import DEFAULTS
    from console.output import write
    from console.report import FORMATS

    only = getattr(options, "only", None)
    report = asyncio.run(
        examine(target, getattr(options, "profile", None), only, backups, settings or DEFAULTS)
    )
    if options.format == "text" and wants_plain(options):
        write(plain.report(report))
    else:
        write(FORMATS[options.format](report))
    return _verdict(report, options)


def _verdict(report: Report, options: argparse.Namespace) -> ExitCode:
    """The exit code that --fail-on makes of a report."""
    from console.findings import Severity, exit_code

    advised = any(finding.severity is Severity.WARNING for finding in report.advice)
    if options.fail_on == "advice" and advised and report.verdict.rank > Severity.WARNING.rank:
        return ExitCode.WARNINGS
    return exit_code(report.verdict, fail_on_warning=options.fail_on != "failure")


async def examine(
    target: Target,
    profile: str | None,
    only: list[str] | None,
    backups: Path | None,
    settings: CheckSettings,
) -> Report:
    from console.checks import run
    from console.checks.runner import chosen
    from console.profile_choice import choose

    chosen(only, has_profile=True)  # a wrong id is told before anything is opened
    choice = await choose(target, profile)
    return await run(
        target,
        choice.profile,
        only=only,
        profile_reason=choice.reason,
        backups=backups,
        settings=settings,
    )
