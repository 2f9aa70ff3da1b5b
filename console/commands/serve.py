"""medianest-console serve: the app in a browser, on this machine alone."""

from __future__ import annotations

import argparse
from typing import Any

from console.errors import ActionRefused, ExitCode

_PORT = 8600
_EPILOG = (
    "The address holds a token that is made anew each time; without it nothing is answered. It is"
    " reached from this machine alone: from another one through ssh -L. Needs the extra `serve`:"
    " pipx install 'medianest-console[serve]'."
)


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "serve",
        help="open the app in a browser of this machine",
        description="Serve the app as a web page on the loopback address, behind a token.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument("--port", type=int, default=_PORT, metavar="N", help=f"default: {_PORT}")
    parser.set_defaults(run=run_serve)


def run_serve(options: argparse.Namespace) -> ExitCode:
    import os

    from console.commands.target import settings_and_target

    settings_and_target(options)  # a mistake is told here, not on the page
    try:
        from console.web import serve
    except ModuleNotFoundError as error:
        raise ActionRefused(
            f"The page needs a package that is not installed ({error.name}).",
            "Install the extra: pipx install 'medianest-console[serve]'.",
        ) from error
    if not 1 <= options.port <= 65535:
        raise ActionRefused(f"There is no port {options.port}.", "Name one from 1024 to 65535.")
    words = []
    if options.dsn is not None:
        # An argument can be read by every user of this machine; the environment cannot.
        os.environ["DATABASE_URL"] = options.dsn
    for name in ("target", "settings"):
        if getattr(options, name) is not None:
            words += [f"--{name}", getattr(options, name)]
    words += ["--read-only"] if options.read_only else []
    serve(words, options.port)
    return ExitCode.OK
