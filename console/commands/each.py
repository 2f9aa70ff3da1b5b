"""--all: one command on each target of the settings in turn; one that fails stops no other."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from console.errors import ActionRefused, ConsoleError, ExitCode

_WORST_FIRST = (ExitCode.FAILURES, ExitCode.UNKNOWN, ExitCode.WARNINGS)


def add_all_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="each target of the settings; exit code by the worst"
    )


def on_each(
    options: argparse.Namespace,
    one: Callable[[argparse.Namespace], ExitCode],
    *,
    headed: bool = True,
) -> ExitCode:
    """Run `one` with the options of each target; the worst exit code.

    `headed` writes each target's name above what is written for it. A ConsoleError is told and
    counts as UNKNOWN. Raises SettingsError without targets, ActionRefused when one was named.
    """
    from console.commands.target import settings_with_targets
    from console.output import complain, write

    if options.dsn is not None or options.target is not None:
        raise ActionRefused(
            "--all means every target, and one was named.", "Leave out --all, or the target."
        )
    codes = []
    for name in settings_with_targets(options).targets:
        if headed:
            write(f"target {name}\n")
        try:
            codes.append(one(argparse.Namespace(**{**vars(options), "target": name})))
        except ConsoleError as error:
            complain(error)
            codes.append(ExitCode.UNKNOWN)
    return next((code for code in _WORST_FIRST if code in codes), ExitCode.OK)
