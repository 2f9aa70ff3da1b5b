"""medianest-console migrations: Prisma's history, drift from it, and the way back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from console.migrations.folder import Folder
    from console.migrations.history import History
    from console.migrations.rollback import RollbackPlan
    from console.settings import Settings
    from console.target import Target

_EPILOG = (
    "Exit code: 0 all is as the folder says, 1 pending migrations (with --fail-on warning), 2"
    " failed, edited or unknown migrations or drift, 3 something could not be read."
)


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "migrations",
        help="Prisma's migrations: status, drift and rollback plans",
        description="Compare the database with the project's prisma/migrations.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    status = _action(actions, "status", run_status, "what is applied, pending, failed or edited")
    status.add_argument("--fail-on", choices=["warning", "failure"], default="failure")
    drift = _action(
        actions, "drift", run_drift, "compare the database with what its migrations make"
    )
    _add_place(drift)
    drift.add_argument("--schema", type=Path, metavar="FILE", help="another schema.prisma")
    plan = _action(
        actions, "rollback-plan", run_rollback, "the SQL back to an earlier migration, and its cost"
    )
    plan.add_argument("name", metavar="MIGRATION", help="the last migration that stays")
    _add_place(plan)
    plan.add_argument("--output", type=Path, metavar="FILE", help="write the SQL there")
    plan.add_argument(
        "--confirm",
        metavar="NAME",
        help="back up and run it; NAME is the database's, typed out",
    )


def _action(actions: Any, name: str, run: Any, words: str) -> Any:
    from console.cli import add_target_options

    parser = actions.add_parser(
        name, help=words, description=words[:1].upper() + words[1:] + ".", allow_abbrev=False
    )
    add_target_options(parser)
    parser.add_argument(
        "--migrations", type=Path, metavar="DIR", help="the folder, usually prisma/migrations"
    )
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.set_defaults(run=run)
    return parser


def _add_place(parser: Any) -> None:
    parser.add_argument(
        "--on-server",
        action="store_true",
        help="replay beside the live database instead of on a temporary server",
    )


def _read(options: argparse.Namespace) -> tuple[Settings, Target, Folder, History]:
    import asyncio

    from console.commands.target import settings_and_target
    from console.migrations.folder import folder_of, read_folder

    settings, target = settings_and_target(options)
    if getattr(options, "on_server", False) and (options.read_only or settings.read_only):
        raise ActionRefused(
            "--on-server makes scratch databases there, and --read-only forbids it.",
            "Leave one of them out.",
        )
    folder = read_folder(folder_of(target, options.migrations))
    return settings, target, folder, asyncio.run(_history(target, folder))


async def _history(target: Target, folder: Folder) -> History:
    from console.migrations.history import read_history
    from console.session import Session

    session = Session(target)
    try:
        return await read_history(session, folder, target.schema)
    finally:
        await session.close()


def run_status(options: argparse.Namespace) -> ExitCode:
    from console.findings import exit_code
    from console.migrations import text
    from console.output import write

    _settings, _target, folder, history = _read(options)
    shown = text.status_json if options.format == "json" else text.status
    write(shown(folder, history))
    return exit_code(history.verdict, fail_on_warning=options.fail_on == "warning")


def run_drift(options: argparse.Namespace) -> ExitCode:
    import asyncio

    from console.findings import Severity, exit_code
    from console.migrations import text
    from console.migrations.drift import find_drift
    from console.migrations.prisma_schema import schema_file_of
    from console.output import tell, write

    _settings, target, folder, history = _read(options)
    found = asyncio.run(
        find_drift(
            target,
            folder,
            history,
            on_live_server=options.on_server,
            schema_file=options.schema or schema_file_of(folder.path),
            report=tell,
        )
    )
    write(text.drift_json(found) if options.format == "json" else text.drift(found))
    disagrees = found.verdict is not Severity.OK
    return ExitCode.FAILURES if disagrees else exit_code(found.verdict)


def run_rollback(options: argparse.Namespace) -> ExitCode:
    import asyncio

    from console.migrations import text
    from console.migrations.rollback import plan_rollback
    from console.output import tell, write

    settings, target, folder, history = _read(options)
    if options.confirm is not None and (options.read_only or settings.read_only):
        raise ActionRefused("--read-only forbids --confirm.", "Leave one of them out.")
    if options.confirm not in (None, target.dbname):
        raise ActionRefused(
            "The name that --confirm gives is not the database's; nothing was done.",
            f"Give --confirm {target.dbname} to run the rollback.",
        )
    found = asyncio.run(
        plan_rollback(
            target, folder, history, options.name, on_live_server=options.on_server, report=tell
        )
    )
    shown = text.plan_json(found) if options.format == "json" else text.plan(found)
    if options.output is not None:
        _save(options.output, text.plan(found))
        tell(f"Written to {options.output}.")
    else:
        write(shown)
    if options.confirm is None:
        return ExitCode.OK
    return _execute(settings, target, found, options.confirm)


def _save(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ActionRefused(
            f"{path} cannot be written ({error.strerror}).", "Name another file."
        ) from error


def _execute(settings: Settings, target: Target, plan: RollbackPlan, confirmed: str) -> ExitCode:
    import asyncio

    from console.migrations.undo import roll_back
    from console.output import tell

    backup = asyncio.run(roll_back(target, settings, plan, confirmed, _once(tell)))
    tell(f"Done, behind the backup {backup}: {', '.join(plan.undone)} undone.")
    tell("Deploy the application's earlier version too: its code must fit this schema.")
    return ExitCode.OK


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    """A report that leaves out what it just said: progress repeats its phase."""
    last = ""

    def report(line: str) -> None:
        nonlocal last
        if line != last:
            last = line
            tell(line)

    return report
