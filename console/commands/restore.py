"""medianest-console restore: bring a database back, beside the live one, then by its name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.commands.plain import add_plain_option, wants_plain
from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from console.restore.plan import Plan
    from console.restore.status import Status
    from console.settings import Settings
    from console.target import Target

_ACTIONS = ("status", "resume", "abort", "undo", "finish")
_WATCH_SECONDS = 0.2
_DESCRIPTION = (
    "Restore a backup beside the live database, compare it with what was dumped, and give it the"
    " live name in one transaction. The old database is kept until `restore finish`."
)
_EPILOG = (
    "Instead of a backup: `status`, `resume`, `abort`, `undo` or `finish`, and the id of a restore."
    " The work goes on when this command is interrupted. Exit code: 0 done, 1 done with warnings,"
    " 2 the restore failed, 3 refused or not begun, 130 no longer watched."
)


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "restore",
        help="bring a database back from a backup",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument(
        "what",
        nargs="?",
        default="latest",
        metavar="BACKUP",
        help="an id, latest (the default), or the path of any dump; or an action, see below",
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="of a restore, after an action")
    parser.add_argument(
        "--from", dest="store", metavar="STORE", help="fetch BACKUP from a store of the settings"
    )
    _add_choices(parser)
    parser.add_argument("--plan", action="store_true", help="only look, and say what would be done")
    parser.add_argument("--yes", action="store_true", help="begin without asking")
    parser.add_argument(
        "--confirm", default="", metavar="NAME", help="the database's name, instead of typing it"
    )
    parser.add_argument("--json", action="store_true", help="with status: print JSON")
    add_plain_option(parser)
    parser.add_argument("--all", action="store_true", help="with status: every restore")
    parser.set_defaults(run=run_restore)


def _add_choices(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how to restore")
    how.add_argument("--into", default="", metavar="NAME", help="a new database; no cut-over")
    how.add_argument("--owner", default="", metavar="ROLE", help="everything belongs to this role")
    how.add_argument("--no-privileges", action="store_true", help="leave recorded grants out")
    how.add_argument("--locale", default="", metavar="NAME", help="instead of the recorded one")
    how.add_argument("--no-create-roles", action="store_true", help="refuse when roles are missing")
    how.add_argument(
        "--no-safety-backup", action="store_true", help="do not back the live database up first"
    )
    how.add_argument("--jobs", type=int, metavar="N", help="parallel sessions of pg_restore")
    how.add_argument(
        "--hook-before", default="", metavar="COMMAND", help="run before the cut-over (no shell)"
    )
    how.add_argument(
        "--hook-after", default="", metavar="COMMAND", help="run after it, also when it failed"
    )


def run_restore(options: argparse.Namespace) -> ExitCode:
    import asyncio

    from console.commands.target import settings_and_target

    settings, target = settings_and_target(options)
    if options.what == "status":
        return _tell_status(options)
    if options.id and options.what not in _ACTIONS:
        raise ActionRefused(f"'{options.id}' is one word too many.", "See restore --help.")
    if not options.plan and (options.read_only or settings.read_only):
        raise ActionRefused("This changes something, and --read-only is set.", "Leave it out.")
    if options.what in _ACTIONS:
        return asyncio.run(_act(options, settings, target))
    return asyncio.run(_restore(options, settings, target))


def restore_backup(
    backup: str, settings: Settings, target: Target, *, yes: bool, confirm: str
) -> ExitCode:
    """`restore BACKUP` with nothing else chosen, for commands that made the backup themselves."""
    import asyncio

    from console.cli import build_parser

    options = build_parser().parse_args(["restore", backup])
    options.yes, options.confirm = yes, confirm
    return asyncio.run(_restore(options, settings, target))


def _tell_status(options: argparse.Namespace) -> ExitCode:
    import json

    from console import plain
    from console.output import write
    from console.restore.describe import as_json, status_text
    from console.restore.status import all_status, find_status

    found = list(all_status()) if options.all else [find_status(options.id)]
    if options.json:
        content = [as_json(status) for status in found]
        whole = content if options.all else content[0]
        write(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    else:
        told = plain.status if wants_plain(options) else status_text
        write("\n".join(told(status) for status in found))
    return found[0].exit_code if found else ExitCode.OK


async def _plan(options: argparse.Namespace, settings: Settings, target: Target) -> Plan:
    from console.backup.store import Store
    from console.commands.backup_stores import fetch
    from console.commands.phases import PhaseReport
    from console.restore.options import Hooks
    from console.restore.plan import Request, make_plan
    from console.restore.source import find_source

    store = Store(settings.backups.directory)
    reference = options.what
    if options.store:
        fetched = await fetch(settings, target, store, options.store, reference, PhaseReport())
        reference = fetched.id
    source = find_source(store, reference, target.name)
    request = Request(
        into=options.into,
        owner=options.owner,
        privileges=not options.no_privileges,
        locale=options.locale,
        create_roles=not options.no_create_roles,
        safety=not options.no_safety_backup,
        hooks=Hooks(options.hook_before, options.hook_after),
        jobs=options.jobs,
    )
    return await make_plan(target, source, request, settings.backups, settings.tools)


async def _restore(options: argparse.Namespace, settings: Settings, target: Target) -> ExitCode:
    from console import plain
    from console.output import write
    from console.restore.describe import plan_text
    from console.restore.run import begin

    plan = await _plan(options, settings, target)
    write(plain.plan(plan) if wants_plain(options) else plan_text(plan))
    if options.plan:
        return ExitCode.OK if plan.may_begin else ExitCode.FAILURES
    plan.require()
    name = plan.options.database
    # Also where nothing is replaced: whoever scripts a restore cannot know what will be left.
    confirmed = _is_confirmed(options, name)
    if not options.yes:
        _ask_to_begin()
    elif plan.needs_confirmation and not confirmed:
        _require_terminal(f"Add --confirm {name}.")
    directory = await begin(plan, target, settings, confirmed=confirmed)
    return await _watch_to_the_end(directory, options, settings, target)


def _ask_to_begin() -> None:
    _require_terminal("Add --yes, and --confirm NAME for the cut-over.")
    if input("Begin? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ActionRefused("Nothing was done.", "Answer y to begin.")


def _is_confirmed(options: argparse.Namespace, name: str) -> bool:
    """Whether --confirm names the database. Raises ActionRefused when it names another."""
    if options.confirm and options.confirm != name:
        raise ActionRefused(
            f"--confirm says '{options.confirm}', but this is about '{name}'.",
            "Name the database exactly.",
        )
    return bool(options.confirm)


def _require_terminal(hint: str) -> None:
    import sys

    if not sys.stdin.isatty():
        raise ActionRefused("There is no terminal to ask you on.", hint)


def typed(name: str, words: str) -> None:
    """Have the operator type the name. Raises ActionRefused when it is not typed."""
    _require_terminal(f"Add --confirm {name}.")
    if input(f"{words} Type {name} to go on: ") != name:
        raise ActionRefused("That is not the name; nothing was done.", "Type it exactly.")


async def _act(options: argparse.Namespace, settings: Settings, target: Target) -> ExitCode:
    from console.restore.run import go_on
    from console.restore.status import Phase, find_status

    status = find_status(options.id)
    status.require(options.what)
    name = status.options.database
    confirmed = False
    if options.what == "finish" and not _is_confirmed(options, status.kept):
        typed(status.kept, f"'{status.kept}' will be dropped for good.")
    if options.what == "undo" and not _is_confirmed(options, name):
        typed(name, "What was written since the cut-over stays in the database put aside.")
    if options.what == "resume":
        confirmed = _is_confirmed(options, name)
        if status.phase is Phase.READY and not status.state.confirmed and not confirmed:
            typed(name, "The restored database is ready for the cut-over.")
            confirmed = True
    await go_on(status.directory, options.what, target, settings, confirmed=confirmed)
    return await _watch_to_the_end(status.directory, options, settings, target)


async def _watch_to_the_end(
    directory: Path, options: argparse.Namespace, settings: Settings, target: Target
) -> ExitCode:
    from console import plain
    from console.output import write
    from console.restore.describe import status_text
    from console.restore.run import go_on
    from console.restore.status import Phase

    status = await _watch(directory)
    if status.phase is Phase.READY and not status.state.confirmed and not status.state.failure:
        name = status.options.database
        typed(name, "Restored and compared: the cut-over comes next.")
        await go_on(directory, "resume", target, settings, confirmed=True)
        status = await _watch(directory)
    write(plain.status(status) if wants_plain(options) else status_text(status))
    return status.exit_code


async def _watch(directory: Path) -> Status:
    """Tell each step as it is done, until the restore's process has ended."""
    import asyncio

    from console.output import tell
    from console.restore.describe import title
    from console.restore.status import read_status
    from console.units import duration

    told = set(read_status(directory).state.done)
    while True:
        status = read_status(directory)
        state = status.state
        for name in [name for name in state.seconds if name in state.done and name not in told]:
            told.add(name)
            tell(f"{title(name)}: {duration(state.seconds[name])}")
        if status.running is None:
            return status
        await asyncio.sleep(_WATCH_SECONDS)
