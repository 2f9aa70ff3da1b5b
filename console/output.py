"""The only writer to standard output and standard error: what is asked for, and errors."""

from __future__ import annotations

import sys

from console.errors import ConsoleError
from console.glyphs import of_terminal


def write(content: str) -> None:
    """What the user asked for, to standard output, with its own line breaks.

    A terminal that cannot show a glyph gets its stand-in; a file gets what was meant.
    """
    if sys.stdout.isatty():
        content = of_terminal().shown(content)
    print(content, end="", flush=True)


def tell(line: str) -> None:
    """A line beside the result (progress, a notice), to standard error."""
    print(line, file=sys.stderr, flush=True)


def prompt(question: str) -> None:
    """A question, to standard error; the answer goes on in its line."""
    print(question, end="", file=sys.stderr, flush=True)


def complain(error: ConsoleError) -> None:
    """What happened and what to do, a line each, to standard error."""
    tell(f"{error.title}: {_on_one_line(error.message)}")
    if error.hint:
        tell(f"{_on_one_line(error.hint)}")


def _on_one_line(content: str) -> str:
    """Without what a terminal would obey: the words may come from a server."""
    return "".join(c if c.isprintable() else " " for c in content)
