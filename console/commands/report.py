"""medianest-console report: everything that is known of a database's readiness, in one document."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from console.reporting.model import Readiness

_EPILOG = (
    "Exit code: 0 all is well, 1 warnings (with --fail-on warning), 2 failures, 3 something could"
    " not be checked or reached, also a mistake in the command line or the settings. The state"
    " directory keeps what the next report is compared with."
)


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "report",
        help="write the readiness report with every section and its evidence",
        description="Check everything, and write it down: schema, indexes, keys, migrations,"
        " performance, security, settings, deployment, backups, recovery, monitoring, storage.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument(
        "--profile", metavar="NAME|FILE", help="a bundled profile (medianest) or a profile file"
    )
    parser.add_argument(
        "--format",
        choices=["text", "markdown", "html", "json"],
        help="default: what the file's name says (.md, .html, .json), else text",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write or replace a file that only you may read"
    )
    parser.add_argument(
        "--deployment",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        help="compose files, manifests or units to audit with it",
    )
    parser.add_argument(
        "--fail-on",
        choices=["warning", "failure"],
        default="failure",
        help="exit with 1 when there are warnings",
    )
    parser.set_defaults(run=run_report)


_BY_SUFFIX = {".md": "markdown", ".html": "html", ".htm": "html", ".json": "json"}


def run_report(options: argparse.Namespace) -> ExitCode:
    import asyncio
    from pathlib import Path

    from console.findings import exit_code
    from console.output import tell, write
    from console.report_file import write_report
    from console.reporting.changes import path_of, remember
    from console.reporting.formats import FORMATS

    path = Path(options.output) if options.output is not None else None
    form = options.format or _BY_SUFFIX.get(path.suffix.lower() if path else "", "text")
    readiness = asyncio.run(_made(options))
    content = FORMATS[form](readiness)
    if path is None:
        write(content)
    else:
        write_report(path, content)
        tell(f"{readiness.report.headline}\nWritten to {path}.")
    remember(readiness.report, path_of(readiness.report))
    return exit_code(readiness.verdict, fail_on_warning=options.fail_on == "warning")


async def _made(options: argparse.Namespace) -> Readiness:
    import os
    from pathlib import Path

    from console.commands.target import settings_and_target
    from console.output import tell
    from console.reporting.changes import path_of, with_changes
    from console.reporting.gather import Sources, gather
    from console.reporting.sections import compose

    settings, target = settings_and_target(options)
    sources = Sources(options.profile, tuple(map(Path, options.deployment)), dict(os.environ))
    readiness = compose(await gather(target, settings, sources, lambda phase: tell(f"{phase} ...")))
    return with_changes(readiness, path_of(readiness.report))
