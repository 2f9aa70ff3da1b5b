"""medianest-console rescue: the app, opened on the guided emergency restore."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import ActionRefused, ExitCode, SettingsError

if TYPE_CHECKING:
    from console.settings import Settings

_DESCRIPTION = (
    "Open the guided emergency restore: choose a backup, see whether it fits, read the plan, and"
    " watch it. It opens without a server, without the database and with broken settings too."
)


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "rescue",
        help="the guided emergency restore, as F9 in the app",
        description=_DESCRIPTION,
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument(
        "--backups", metavar="DIRECTORY", help="where backups are, instead of the settings' own"
    )
    parser.set_defaults(run=run_rescue)


def run_rescue(options: argparse.Namespace) -> ExitCode:
    import os
    import sys

    from console.cli import launch
    from console.settings import choose_target

    settings, notice = _settings(options)
    if options.read_only or settings.read_only:
        raise ActionRefused(
            "A restore changes the server, and --read-only is set.",
            "Leave it out; `backup list` and `restore --plan` only look.",
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ActionRefused("The wizard needs a terminal.", "Use `medianest-console restore`.")
    target = choose_target(settings, os.environ, options.dsn, options.target)
    if options.backups:
        settings = _with_backups(settings, Path(options.backups).expanduser())
    return launch(target, settings, read_only=False, rescue=True, notice=notice)


def _settings(options: argparse.Namespace) -> tuple[Settings, str]:
    """The settings; the defaults, and why, when they are broken and nothing asks for a target."""
    from console.settings import Settings, read_settings

    try:
        return read_settings(Path(options.settings) if options.settings else None), ""
    except SettingsError as error:
        if options.target:
            raise
        return Settings(), f"The settings cannot be used, so defaults are. {error.message}"


def _with_backups(settings: Settings, directory: Path) -> Settings:
    """The backup directory, also when one target's own directory in it is named."""
    from dataclasses import replace
    from urllib.parse import unquote

    from console.backup.store import Store

    if not directory.is_dir():
        raise ActionRefused(f"{directory} is no directory.", "Name the directory of the backups.")
    directory = directory.resolve()
    if Store(directory.parent).backups(unquote(directory.name)):
        directory = directory.parent
    return replace(settings, backups=replace(settings.backups, directory=directory))
