"""medianest-console agent: watch, back up and tell while nobody looks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from console.errors import ActionRefused, ExitCode, SettingsError

if TYPE_CHECKING:
    from console.settings import Settings
    from console.target import Target

_LIBRARIES = ("apprise", "structlog", "prometheus_client")


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "agent",
        help="watch, back up and tell while nobody looks",
        description="Run until stopped: look at every target, back up, prove and prune by schedule,"
        " check daily, write history, send alerts, serve metrics. SIGHUP reads the settings again,"
        " SIGTERM stops and takes back what is not finished.",
        epilog="Exit code: 0 stopped by a signal or a test message delivered, 2 one that was not,"
        " 3 could not begin.",
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    test = actions.add_parser(
        "test-alert",
        help="send a test message to every receiver",
        description="Send a test message to every receiver of agent.alerts.to; say who took it.",
        allow_abbrev=False,
    )
    add_target_options(test)
    test.set_defaults(run=run_test_alert)


def run(options: argparse.Namespace) -> ExitCode:
    import asyncio

    _require_libraries()
    from console.agent.service import run_agent
    from console.garbage import for_a_long_run
    from console.settings import state_directory

    for_a_long_run()
    asyncio.run(run_agent(lambda: _watched(options), state_directory()))
    return ExitCode.OK


def run_test_alert(options: argparse.Namespace) -> ExitCode:
    import socket

    _require_libraries()
    from console.agent.courier import deliver
    from console.agent.outbox import addresses
    from console.output import tell, write

    settings, _targets = _watched(options)
    receivers = addresses(settings.agent.alerts)
    if not receivers:
        raise ActionRefused(
            "The settings name nobody to tell.", "Add an Apprise address to agent.alerts.to."
        )
    title = "A test from MediaNest Console"
    body = f"If you can read this, the agent on {socket.gethostname()} can reach you."
    failed = 0
    for address in receivers:
        tell(f"telling {address.name} ...")
        taken = deliver(address, title, body, severity="warning", good=True)
        failed += not taken
        write(f"{address.name}: {'delivered' if taken else 'NOT delivered'}\n")
    return ExitCode.FAILURES if failed else ExitCode.OK


def _require_libraries() -> None:
    from importlib.util import find_spec

    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise ActionRefused(
            f"The agent needs {', '.join(missing)}, which are not installed.",
            "Install them with: pip install 'medianest-console[agent]'",
        )


def _watched(options: argparse.Namespace) -> tuple[Settings, Sequence[Target]]:
    """The settings, and --dsn or --target alone, else agent.targets, else all, else the usual."""
    import os
    from pathlib import Path

    from console.settings import choose_target, read_settings

    settings = read_settings(Path(options.settings) if options.settings else None)
    names = settings.agent.targets or tuple(settings.targets)
    if options.dsn is not None or options.target is not None or not names:
        return settings, [choose_target(settings, os.environ, options.dsn, options.target)]
    unknown = [name for name in names if name not in settings.targets]
    if unknown:
        raise SettingsError(
            f"agent.targets names '{unknown[0]}', which is no target.",
            "Known targets: " + (", ".join(sorted(settings.targets)) or "none") + ".",
        )
    return settings, [choose_target(settings, os.environ, None, name) for name in names]
