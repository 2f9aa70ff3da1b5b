"""The actions of medianest-console pitr that go back to a moment, and take from it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from console.pitr.archive import Archive
    from console.pitr.side import Side
    from console.pitr.targets import Stop, Wanted
    from console.settings import Settings
    from console.target import Target


def register_restoring(actions: Any) -> None:
    from console.commands.pitr import action

    restore = action(actions, "restore", run_restore, "recover a moment on a side server")
    add_moment(restore)
    restore.add_argument("--base", default="", metavar="ID", help="the base backup to begin with")
    restore.add_argument("--plan", action="store_true", help="only say what would be done")
    restore.add_argument("--open", action="store_true", help="open it in the console then")
    restore.add_argument(
        "--into",
        type=Path,
        metavar="DIRECTORY",
        help="for a dead server: a data directory that is ready to start",
    )
    move = action(actions, "move", run_move, "take a side server to another moment")
    add_moment(move)
    move.add_argument("--side", default="", metavar="NAME", help="which, if there are several")
    action(actions, "sides", run_sides, "list side servers, with how to open them", json=True)
    take = action(actions, "take", run_take, "take from a side server into the live one")
    take.add_argument("--side", default="", metavar="NAME", help="which, if there are several")
    take.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="SCHEMA.TABLE",
        help="copy it beside the live tables; without it the whole database is taken",
    )
    take.add_argument("--where", default="", metavar="SQL", help="which of the table's rows")
    take.add_argument("--schema", default="", metavar="NAME", help="the new schema for tables")
    take.add_argument("--yes", action="store_true", help="begin the restore without asking")
    take.add_argument("--confirm", default="", metavar="NAME", help="the database's name")
    drop = action(actions, "drop", run_drop, "stop a side server and remove it")
    drop.add_argument("--side", default="", metavar="NAME", help="which, if there are several")
    drill = action(actions, "drill", run_drill, "recover to any moment, and check it", json=True)
    add_moment(drill, required=False)
    prune = action(actions, "prune", run_prune, "remove base backups and WAL nobody needs")
    prune.add_argument("--dry-run", action="store_true", help="only say what and why")


def add_moment(parser: Any, *, required: bool = True) -> None:
    """The options that name a moment to go back to."""
    group = parser.add_argument_group("the moment")
    which = group.add_mutually_exclusive_group(required=required)
    which.add_argument(
        "--to-time", metavar="TIME", help="'2026-11-26 14:30:00+01:00', or '5 min ago'"
    )
    which.add_argument("--to-lsn", metavar="LSN", help="a WAL position such as 0/3000028")
    which.add_argument("--to-xid", metavar="XID", help="a transaction")
    which.add_argument("--to-name", metavar="NAME", help="of pg_create_restore_point")
    which.add_argument("--latest", action="store_true", help="the end of what was received")
    group.add_argument("--before", action="store_true", help="just before it, without it")


def wanted_moment(options: argparse.Namespace) -> Wanted | None:
    """What `add_moment`'s options say; None when none was given."""
    from console.pitr.targets import Wanted

    if options.latest:
        return Wanted("latest")
    if options.to_time is not None:
        # A relative time is fixed once: what is asked for does not move while work goes on.
        text = Wanted("time", options.to_time).time.isoformat()
        return Wanted("time", text, options.before)
    if options.to_lsn is not None:
        return Wanted("lsn", options.to_lsn, options.before)
    if options.to_xid is not None:
        return Wanted("xid", options.to_xid, options.before)
    return Wanted("name", options.to_name, options.before) if options.to_name is not None else None


async def _resolve(
    options: argparse.Namespace, settings: Settings, archive: Archive, base: str = ""
) -> tuple[Stop, Any]:
    from console.pitr.targets import resolve
    from console.pitr.tooling import tools_for

    tools = await tools_for(archive.info.major, settings)
    wanted = wanted_moment(options)
    if wanted is None:
        raise ActionRefused("No moment is named.", "Add --to-time, or another one.")
    return await resolve(archive, wanted, tools, base), tools


def run_restore(options: argparse.Namespace) -> ExitCode:
    from console.commands.pitr import open_archive, require_changes, say, wait
    from console.output import write
    from console.pitr.describe import side_text, stop_text
    from console.pitr.promoted import write_directory
    from console.pitr.side import recover

    settings, target, archive = open_archive(options)
    if not options.plan:
        require_changes(options, settings)
    made: list[Side] = []

    async def work() -> ExitCode:
        stop, tools = await _resolve(options, settings, archive, options.base)
        write(stop_text(stop))
        if options.plan:
            return ExitCode.OK
        if options.into is not None:
            ready = await write_directory(archive, settings, stop, tools, options.into, say)
            write("\n".join(ready.lines) + "\n")
            return ExitCode.OK
        side = await recover(archive, settings, stop, tools, say)
        made.append(side)
        write(side_text(side))
        return ExitCode.OK

    code = wait(work())
    if options.open and made:
        return _open_side(made[0], settings, target)
    return code


def _open_side(side: Side, settings: Settings, target: Target) -> ExitCode:
    from dataclasses import replace

    from console.cli import launch

    opened = replace(side.target(target.dbname), profile=target.profile, schema=target.schema)
    notice = f"This is {side.info.target} at {side.info.asked}: a copy, and read-only."
    return launch(opened, settings, read_only=True, notice=notice)


def run_move(options: argparse.Namespace) -> ExitCode:
    from console.commands.pitr import open_archive, require_changes, say, wait
    from console.output import write
    from console.pitr.describe import side_text, stop_text
    from console.pitr.side import find_side, move

    settings, _target, archive = open_archive(options)
    require_changes(options, settings)

    async def work() -> ExitCode:
        side = find_side(archive, settings, options.side)
        stop, tools = await _resolve(options, settings, archive)
        write(stop_text(stop))
        write(side_text(await move(archive, side, stop, tools, say)))
        return ExitCode.OK

    return wait(work())


def run_sides(options: argparse.Namespace) -> ExitCode:
    from console.commands.pitr import open_archive, print_json
    from console.output import tell, write
    from console.pitr.describe import side_json, side_text
    from console.pitr.side import sides

    settings, _target, archive = open_archive(options)
    found = sides(archive, settings)
    if options.json:
        print_json([side_json(side) for side in found])
    elif found:
        write("\n".join(side_text(side) for side in found))
    else:
        tell("There is no side server.")
    return ExitCode.OK


def run_take(options: argparse.Namespace) -> ExitCode:
    from console.commands.pitr import open_archive, require_changes, wait
    from console.pitr.side import find_side

    settings, target, archive = open_archive(options)
    require_changes(options, settings)
    if options.where and len(options.table) != 1:
        raise ActionRefused("--where chooses rows of one table.", "Name one with --table.")
    side = find_side(archive, settings, options.side)
    if options.table:
        return wait(_take_tables(options, side, target))
    return _take_database(options, settings, target, side)


async def _take_tables(options: argparse.Namespace, side: Side, target: Target) -> ExitCode:
    from console.output import write
    from console.pitr.take import TableName, take_table

    for name in options.table:
        table = TableName.parse(name)
        taken = await take_table(side, target, table, where=options.where, schema=options.schema)
        write(
            f"{taken.rows} rows of {table} are in {taken.schema}.{table.name}.\n"
            f"To bring back what is missing:\n  {taken.advice}\n"
        )
    return ExitCode.OK


def _take_database(
    options: argparse.Namespace, settings: Settings, target: Target, side: Side
) -> ExitCode:
    """A verified backup of the side server's database, then the restore that every backup has."""
    from console.commands.pitr import say, wait
    from console.commands.restore import restore_backup
    from console.pitr.take import back_up_side

    taken: list[str] = []

    async def back_up() -> ExitCode:
        say("backing up the side server's database")
        taken.append((await back_up_side(side, target, settings)).id)
        return ExitCode.OK

    wait(back_up())
    return restore_backup(taken[0], settings, target, yes=options.yes, confirm=options.confirm)


def run_drop(options: argparse.Namespace) -> ExitCode:
    from console.commands.pitr import open_archive, require_changes
    from console.output import write
    from console.pitr.side import drop, find_side

    settings, _target, archive = open_archive(options)
    require_changes(options, settings)
    side = find_side(archive, settings, options.side)
    drop(side)
    write(f"The side server {side.info.name} is gone.\n")
    return ExitCode.OK


def run_drill(options: argparse.Namespace) -> ExitCode:
    from console.backup.manifest import Verdict
    from console.commands.pitr import open_archive, print_json, say, wait
    from console.output import write
    from console.pitr.describe import base_json, drill_text
    from console.pitr.drill import drill
    from console.pitr.tooling import tools_for

    settings, target, archive = open_archive(options)

    async def work() -> ExitCode:
        tools = await tools_for(archive.info.major, settings)
        wanted = wanted_moment(options)
        base = await drill(archive, settings, target, tools, say, wanted=wanted)
        if options.json:
            print_json(base_json(base))
        else:
            write(drill_text(base))
        verdict = base.drill.verdict if base.drill else Verdict.COULD_NOT_VERIFY
        return {Verdict.PASS: ExitCode.OK, Verdict.FAIL: ExitCode.FAILURES}.get(
            verdict, ExitCode.UNKNOWN
        )

    return wait(work())


def run_prune(options: argparse.Namespace) -> ExitCode:
    from console.commands.pitr import open_archive, require_changes
    from console.output import write
    from console.pitr.describe import plan_text
    from console.pitr.retention import prune

    settings, _target, archive = open_archive(options)
    if not options.dry_run:
        require_changes(options, settings)
    write(plan_text(prune(archive, settings.pitr, dry_run=options.dry_run)))
    return ExitCode.OK
