"""The command line: thin; each group of commands is a module of console.commands.

Modules that take time to import (psycopg, yaml, textual) are imported by the command that needs
them, so that --version and --help answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from console import __version__
from console.errors import ActionRefused, ConsoleError, ExitCode
from console.garbage import for_a_long_run, for_one_command

if TYPE_CHECKING:
    from console.settings import Settings
    from console.target import Target

COMMANDS = (
    "demo",
    "init",
    "check",
    "report",
    "activity",
    "replay",
    "diagnose",
    "explain",
    "index_lab",
    "migrations",
    "profile",
    "backup",
    "restore",
    "pitr",
    "pgbackrest",
    "agent",
    "health",
    "fleet",
    "rescue",
    "deploy",
    "serve",
    "doctor",
)
"""Modules of console.commands, in the order of the help."""

_OFTEN = ("health",)
"""Commands that containers run every few seconds: the others are not imported beside them."""

_BROKEN_PIPE = 141
"""128 + SIGPIPE, as a shell would say it."""

_DESCRIPTION = "A terminal console for people who run PostgreSQL themselves."
_EPILOG = (
    "Without a command the app opens. The database is --dsn, else --target, else DATABASE_URL,"
    " else the settings' own, else PG* variables. Prefer DATABASE_URL or a settings file to --dsn"
    " when the address holds a password: other users of this machine can read a command line."
)


class Parser(argparse.ArgumentParser):
    """Mistakes exit with 3: argparse's 2 means here that checks failed."""

    def error(self, message: str) -> NoReturn:
        self.exit(
            ExitCode.UNKNOWN, f"Usage: {message}.\nSee {self.prog} --help for what is accepted.\n"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the process's exit code (console.errors.ExitCode, or 141)."""
    for_one_command()
    try:
        given = sys.argv[1:] if arguments is None else arguments
        options = build_parser(_needed(given)).parse_args(given)
        return int(options.run(options))
    except ConsoleError as error:
        from console.output import complain

        complain(error)
        return ExitCode.UNKNOWN
    except KeyboardInterrupt:
        from console.output import tell

        tell("Interrupted.")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader went away; Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


def _needed(given: Sequence[str]) -> Sequence[str]:
    """The commands to import for this command line: all of them take a tenth of a second."""
    if [*given] == ["--version"]:
        return ()
    return given[:1] if given and given[0] in _OFTEN else COMMANDS


def build_parser(names: Sequence[str] = COMMANDS) -> Parser:
    """The parser of these commands."""
    parser = Parser(
        prog="medianest-console", description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.set_defaults(run=open_app, dsn=None, target=None, settings=None, read_only=False)
    add_target_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in names:
        import_module(f"console.commands.{name}").register(commands)
    return parser


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which database; accepted before and after a command."""
    which = parser.add_argument_group("database")
    address = which.add_mutually_exclusive_group()
    address.add_argument(
        "--dsn",
        metavar="URL",
        default=argparse.SUPPRESS,
        help="a PostgreSQL or Prisma URL; DATABASE_URL keeps a password out of sight",
    )
    address.add_argument(
        "--target", metavar="NAME", default=argparse.SUPPRESS, help="a target of the settings"
    )
    which.add_argument(
        "--settings", metavar="FILE", default=argparse.SUPPRESS, help="a settings file (YAML)"
    )
    which.add_argument(
        "--read-only",
        action="store_true",
        default=argparse.SUPPRESS,
        help="leave out every action that changes something",
    )


def open_app(options: argparse.Namespace) -> ExitCode:
    """No command: the app, on the target."""
    from console.commands.target import settings_and_target

    is_on_a_page = "TEXTUAL_DRIVER" in os.environ
    if not is_on_a_page and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ActionRefused(
            "The app needs a terminal.", "Use a command instead, e.g. medianest-console check."
        )
    settings, target = settings_and_target(options)
    return launch(target, settings, read_only=options.read_only)


def launch(
    target: Target,
    settings: Settings,
    *,
    read_only: bool,
    rescue: bool = False,
    notice: str = "",
) -> ExitCode:
    """Run the app until it is left: the one place where console knows of screens."""
    import logging

    from screens.app import run

    # A line on standard error would be written over the screen.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    for_a_long_run()
    return run(target, settings, read_only=read_only, rescue=rescue, notice=notice)
