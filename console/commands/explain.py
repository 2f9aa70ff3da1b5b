"""medianest-console explain: a plan from a file or from the server, with advice."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from console.plans.tree import Plan

_EPILOG = (
    "Example: medianest-console explain --query 'SELECT * FROM users' --analyze. A query is run"
    " read-only, with a timeout; one that writes is run only with --write, and rolled back."
    " Exit code: 0, or 3 when there is no plan."
)


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "explain",
        help="read a query plan, or ask for one, and advise",
        description="Show where a plan's time goes, node by node, and what to do about it.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_target_options(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "file", nargs="?", metavar="FILE", help="a plan as text, JSON, YAML or XML; - reads it here"
    )
    source.add_argument("--query", metavar="SQL", help="explain this statement; - reads it here")
    parser.add_argument("--analyze", action="store_true", help="run the query and measure")
    parser.add_argument(
        "--write", action="store_true", help="with --analyze: run a writing query, rolled back"
    )
    parser.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="TEXT",
        help="the value of $1, then of $2, ...; repeat it",
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="of a run; default 30"
    )
    parser.add_argument("--format", choices=["text", "json", "markdown"], default="text")
    parser.add_argument("--compare", metavar="FILE", help="an earlier plan to compare with")
    parser.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> ExitCode:
    from console.output import write
    from console.plans.compare import as_text, compare
    from console.plans.export import FORMATS

    plan = _asked(options) if options.query is not None else _from_file(options.file)
    if options.compare is not None:
        write(as_text(compare(_from_file(options.compare), plan)))
        return ExitCode.OK
    write(FORMATS[options.format](plan))
    return ExitCode.OK


def _asked(options: argparse.Namespace) -> Plan:
    """The plan from the server; what to know about it goes to standard error."""
    import asyncio

    from console.commands.target import settings_and_target
    from console.errors import ActionRefused
    from console.output import tell
    from console.plans.explain import ConfirmationNeeded, Options, explain

    _, target = settings_and_target(options)
    if options.write and options.read_only:
        raise ActionRefused("--read-only leaves out --write.", "Drop one of the two.")
    text = _standard_input() if options.query == "-" else options.query
    wanted = Options(analyze=options.analyze, timeout_s=max(0.001, options.timeout))
    question = explain(target, text, wanted, values=options.value, write=options.write)
    try:
        explained = asyncio.run(question)
    except ConfirmationNeeded as error:
        for hazard in error.hazards.hazards:
            tell(f"Not undone by a rollback: {hazard.what}: {hazard.detail}")
        error.hint = "Leave --analyze out, or add --write to run it and roll it back."
        raise
    if explained.was_rolled_back:
        tell("Note: It was run, and rolled back.")
    for note in explained.notes:
        tell(f"Note: {note}")
    return explained.plan


def _from_file(name: str) -> Plan:
    from pathlib import Path

    from console.plans.formats import read
    from console.plans.tree import PlanUnreadable

    if name == "-":
        return read(_standard_input())
    try:
        return read(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise PlanUnreadable(f"{name} cannot be read ({reason}).", "Check the path.") from error


def _standard_input() -> str:
    import sys

    return sys.stdin.buffer.read().decode("utf-8", "replace")
