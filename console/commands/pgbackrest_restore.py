"""The actions of medianest-console pgbackrest that restore, and take a restored copy away."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.commands.pitr import action, require_changes, say
from console.commands.pitr_restore import add_moment, wanted_moment
from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from console.pgbackrest.backrest import Backrest
    from console.settings import Settings
    from console.target import Target


def register_restoring(actions: Any) -> None:
    restore = action(
        actions, "restore", run_restore, "restore beside, or in place of a dead server"
    )
    where = restore.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--into",
        type=Path,
        metavar="DIRECTORY",
        help="absent or empty: a copy beside, read-only, that archives nothing",
    )
    where.add_argument(
        "--in-place",
        action="store_true",
        help="the stanza's own data directory; its server must be down",
    )
    add_moment(restore, required=False)
    restore.add_argument(
        "--set", default="", metavar="LABEL", help="the backup to begin with, instead of what fits"
    )
    restore.add_argument("--confirm", default="", metavar="STANZA", help="with --in-place")
    drop = action(actions, "drop", run_drop, "stop a restored copy and remove it")
    drop.add_argument("directory", type=Path, metavar="DIRECTORY", help="of restore --into")


def run_restore(options: argparse.Namespace) -> ExitCode:
    from console.commands.pgbackrest import opened, told

    settings, target, backrest = opened(options)
    require_changes(options, settings)
    if options.in_place:
        _confirm(options, backrest)
        return told(_in_place(options, target, backrest))
    return told(_beside(options, settings, target, backrest))


def _confirm(options: argparse.Namespace, backrest: Backrest) -> None:
    """Raises ActionRefused unless the stanza is named, as an option or at the terminal."""
    from console.commands.restore import typed

    if options.confirm and options.confirm != backrest.stanza:
        raise ActionRefused(
            f"--confirm says '{options.confirm}', but this is about '{backrest.stanza}'.",
            "Name the stanza exactly.",
        )
    if not options.confirm:
        typed(backrest.stanza, "What its data directory holds now is overwritten.")


async def _in_place(options: argparse.Namespace, target: Target, backrest: Backrest) -> ExitCode:
    from console.output import write
    from console.pgbackrest.restore import restore_in_place
    from console.pitr.targets import Wanted

    wanted = wanted_moment(options) or Wanted("latest")
    label = await restore_in_place(backrest, target, wanted, options.set, say)
    chosen = label or "the backup"
    write(
        f"The data directory of {backrest.stanza} is {chosen}, to be recovered to {wanted.words}.\n"
        "Start the server: it replays WAL from the archive, and takes writes then.\n"
    )
    return ExitCode.OK


async def _beside(
    options: argparse.Namespace, settings: Settings, target: Target, backrest: Backrest
) -> ExitCode:
    from console.output import write
    from console.pgbackrest.describe import restored_text
    from console.pgbackrest.restore import restore_beside
    from console.pitr.targets import Wanted

    wanted = wanted_moment(options) or Wanted("latest")
    restored = await restore_beside(
        backrest, target, settings, options.into, wanted, options.set, say
    )
    write(restored_text(restored.side, restored.label, restored.seconds))
    return ExitCode.OK


def run_drop(options: argparse.Namespace) -> ExitCode:
    from console.commands.target import settings_and_target
    from console.output import write
    from console.pgbackrest.restore import find_restored
    from console.pitr.side import drop

    settings, _target = settings_and_target(options)
    require_changes(options, settings)
    side = find_restored(options.directory)
    drop(side)
    write(f"The copy in {side.directory} is gone.\n")
    return ExitCode.OK
