"""Options to settings and target, the same for every command."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from console.errors import SettingsError
from console.settings import Settings, choose_target, read_settings
from console.target import Target


def settings_and_target(options: Namespace) -> tuple[Settings, Target]:
    """What --settings, --dsn, --target and the environment say. Raises SettingsError."""
    settings = read_settings(Path(options.settings) if options.settings else None)
    return settings, choose_target(settings, os.environ, options.dsn, options.target)


def settings_with_targets(options: Namespace) -> Settings:
    """The settings, for commands over every target. Raises SettingsError when they name none."""
    settings = read_settings(Path(options.settings) if options.settings else None)
    if not settings.targets:
        raise SettingsError(
            "The settings name no target.",
            "Add some under `targets`, e.g. with medianest-console init; see docs/fleets.md.",
        )
    return settings
