"""medianest-console check: the readiness report, and its verdict as exit code."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from console.checks import Check
    from console.report import Report
    from console.target import Target

_EPILOG = (
    "Exit code: 0 all is well, 1 warnings (with --fail-on warning), 2 failures, 3 something could"
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
        help="only these checks or categories; they spare no effort",
    )
    parser.set_defaults(run=run_checks)


def add_report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=["text", "markdown", "json"], default="text", help="of the report"
    )
    parser.add_argument(
        "--fail-on",
        choices=["warning", "failure"],
        default="failure",
        help="exit with 1 when there are warnings",
    )


def run_checks(options: argparse.Namespace) -> ExitCode:
    from console.commands.target import settings_and_target

    if options.action == "list":
        return list_checks()
    settings, target = settings_and_target(options)
    return report_on(target, options, backups=settings.backups.directory)


def list_checks() -> ExitCode:
    from console.checks import CHECKS
    from console.output import write

    width = max(len(check.id) for check in CHECKS)
    write("".join(f"{check.id:{width}}  {check.meaning}{_about(check)}\n" for check in CHECKS))
    return ExitCode.OK


def _about(check: Check) -> str:
    """What sets a check apart from the others, e.g. (CIS 4.3; needs superuser)."""
    parts = [
        f"CIS {check.cis}" if check.cis else "",
        f"needs {check.privileges}" if check.privileges else "",
        f"from PostgreSQL {check.oldest} on" if check.oldest > 13 else "",
        "" if check.by_default else "only when named",
    ]
    known = "; ".join(part for part in parts if part)
    return f" ({known})" if known else ""


def report_on(
    target: Target, options: argparse.Namespace, *, backups: Path | None = None
) -> ExitCode:
    """Examine, print the report, and say its verdict."""
    import asyncio

    from console.findings import exit_code
    from console.output import write
    from console.report import FORMATS

    report = asyncio.run(
        examine(target, getattr(options, "profile", None), getattr(options, "only", None), backups)
    )
    write(FORMATS[options.format](report))
    return exit_code(report.verdict, fail_on_warning=options.fail_on == "warning")


async def examine(
    target: Target, profile: str | None, only: list[str] | None, backups: Path | None
) -> Report:
    from console.checks import run
    from console.checks.runner import chosen
    from console.profile_choice import choose

    chosen(only, has_profile=True)  # a wrong id is told before anything is opened
    choice = await choose(target, profile)
    return await run(
        target, choice.profile, only=only, profile_reason=choice.reason, backups=backups
    )
