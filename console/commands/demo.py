"""medianest-console demo: MediaNest on an embedded PostgreSQL, and the app on it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.commands.check import add_report_options, report_on
from console.errors import ExitCode

if TYPE_CHECKING:
    from console.target import Target


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="try the console on a PostgreSQL of its own",
        description="Start an embedded PostgreSQL with MediaNest's schema, sample data and a"
        " workload, and open the app on it. Without a terminal, print the readiness report and"
        " exit by its verdict.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--rows",
        choices=["small", "medium", "large"],
        default="small",
        help="about 5 thousand, 200 thousand or 5 million rows",
    )
    parser.add_argument("--reset", action="store_true", help="throw earlier data away first")
    parser.add_argument(
        "--keep-running", action="store_true", help="leave the server up on leaving"
    )
    parser.add_argument("--directory", metavar="DIR", type=Path, help="where the demo lives")
    parser.add_argument(
        "--read-only",
        action="store_true",
        default=argparse.SUPPRESS,
        help="leave out every action that changes something",
    )
    add_report_options(parser)
    parser.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> ExitCode:
    from console.demo import DemoOptions, demo
    from console.demo.migrations import MIGRATIONS_DIRECTORY
    from console.output import tell
    from console.target import Target

    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    wanted = DemoOptions(
        rows=options.rows,
        reset=options.reset,
        keep_running=options.keep_running,
        directory=options.directory,
        on_progress=_Teller(),
    )
    with demo(wanted) as running:
        if running.notice:
            tell(running.notice)
        target = Target(
            name="demo",
            parameters=running.conninfo,
            profile="medianest",
            migrations=MIGRATIONS_DIRECTORY,
        )
        code = _open_app(target, options) if has_terminal else report_on(target, options)
        if options.keep_running:
            tell(_how_to_return(running.conninfo))
    return code


def _how_to_return(conninfo: Mapping[str, str]) -> str:
    """How to open, and how to end, a server that is left up."""
    address = " ".join(f"{name}={value}" for name, value in conninfo.items())
    return (
        "The server goes on. Open it with\n"
        f"  medianest-console --dsn {shlex.quote(address)}\n"
        "and end it by the same demo command without --keep-running."
    )


def _open_app(target: Target, options: argparse.Namespace) -> ExitCode:
    from console.cli import launch
    from console.settings import read_settings

    settings = read_settings(Path(options.settings) if options.settings else None)
    return launch(target, settings, read_only=options.read_only)


class _Teller:
    """Says each step once, on standard error."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str, _fraction: float | None) -> None:
        from console.output import tell

        if what != self._last:
            self._last = what
            tell(f"{what} ...")
