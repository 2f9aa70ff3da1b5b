"""The option --plain: results as console.plain says them."""

from __future__ import annotations

import argparse
import os
import sys


def add_plain_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plain",
        action="store_true",
        help="one sentence a line, for screen readers; by itself where TERM is dumb",
    )


def wants_plain(options: argparse.Namespace) -> bool:
    """--plain, or a terminal that can only print."""
    return bool(options.plain) or (sys.stdout.isatty() and os.environ.get("TERM") == "dumb")
