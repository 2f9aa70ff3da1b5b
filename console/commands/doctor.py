"""medianest-console doctor: whether a backup and a restore would work here."""

from __future__ import annotations

import argparse
from typing import Any

from console.errors import ExitCode


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "doctor",
        help="try whether a backup and a restore would work",
        description="Say which PostgreSQL tools will be used and why, and prove with a small"
        " scratch database that a backup and a restore work. Nothing of your own is changed.",
        epilog="Exit code: 0 all works, 1 warnings, 2 something does not work, 3 it could not be"
        " tried.",
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> ExitCode:
    import asyncio
    import json

    from console.backup import doctor
    from console.backup.jsonfile import encode
    from console.commands.target import settings_and_target
    from console.findings import exit_code, worst
    from console.output import write

    settings, target = settings_and_target(options)
    findings = asyncio.run(doctor.examine(target, settings.backups, settings.tools))
    if options.json:
        write(json.dumps(encode(findings), indent=1, ensure_ascii=False) + "\n")
    else:
        for finding in findings:
            write(f"{finding.severity:8} {finding.message}\n")
            if finding.fix:
                write(f"         {finding.fix}\n")
    return exit_code(worst(findings), fail_on_warning=True)
