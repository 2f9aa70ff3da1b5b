"""medianest-console pgbackrest: read pgBackRest's repository, and have it work."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.commands.pgbackrest_restore import register_restoring
from console.commands.pitr import action, print_json, require_changes, say, told_status, wait
from console.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from console.pgbackrest.backrest import Backrest
    from console.settings import Settings
    from console.target import Target

_DESCRIPTION = (
    "Clusters too large to dump, in the hands of pgBackRest: its repository read, its backups"
    " proven, its commands driven. It backs up whole clusters, as files, with their WAL."
)
_EPILOG = (
    "Exit code: 0 well, 1 warnings, 2 pgBackRest failed or a backup is damaged, 3 it could not be"
    " checked or begun, also a mistake in the command line or the settings, 130 interrupted."
)


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "pgbackrest",
        help="read, prove and drive pgBackRest, for large databases",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    action(actions, "status", run_status, "say what can be had back", json=True)
    action(actions, "check", run_check, "have WAL archived, and wait until it has arrived")
    backup = action(actions, "backup", run_backup, "have the cluster backed up")
    backup.add_argument(
        "--type",
        choices=["full", "diff", "incr"],
        default="incr",
        help="all, or what changed since the last full one, or since the last one (default)",
    )
    action(actions, "verify", run_verify, "have every file read, and hold the WAL", json=True)
    register_restoring(actions)


def opened(options: argparse.Namespace) -> tuple[Settings, Target, Backrest]:
    from console.commands.target import settings_and_target
    from console.pgbackrest.backrest import require

    settings, target = settings_and_target(options)
    return settings, target, require(settings, target.name)


def run_status(options: argparse.Namespace) -> ExitCode:
    from console.pgbackrest.describe import as_json, status_text
    from console.pgbackrest.status import ask_status

    settings, target, _backrest = opened(options)

    async def work() -> ExitCode:
        status = await ask_status(target, settings)
        return told_status(status, status_text, as_json, options)

    return wait(work())


def run_check(options: argparse.Namespace) -> ExitCode:
    from console.output import write
    from console.pgbackrest.describe import Lines

    settings, _target, backrest = opened(options)
    require_changes(options, settings)

    async def work() -> ExitCode:
        await backrest.drive("check", tell=Lines(say))
        write(f"The stanza {backrest.stanza} is set up, and WAL reaches its archive.\n")
        return ExitCode.OK

    return told(work())


def run_backup(options: argparse.Namespace) -> ExitCode:
    from datetime import UTC, datetime

    from console.output import write
    from console.pgbackrest.describe import Lines, backup_line
    from console.pgbackrest.info import read_stanza
    from console.pgbackrest.proofs import read_proofs

    settings, target, backrest = opened(options)
    require_changes(options, settings)

    async def work() -> ExitCode:
        await backrest.drive("backup", f"--type={options.type}", tell=Lines(say))
        stanza = await read_stanza(backrest)
        newest = stanza.newest()
        if newest is not None:
            write(backup_line(newest, read_proofs(target.name, stanza), datetime.now(UTC)) + "\n")
        return ExitCode.FAILURES if newest is None or newest.page_errors else ExitCode.OK

    return told(work())


def run_verify(options: argparse.Namespace) -> ExitCode:

    from console.backup.manifest import Verdict
    from console.output import write
    from console.pgbackrest.describe import Lines, backup_json, proofs_text
    from console.pgbackrest.info import read_stanza
    from console.pgbackrest.verify import verify

    _settings, target, backrest = opened(options)

    async def work() -> ExitCode:
        stanza = await read_stanza(backrest)
        proofs = await verify(backrest, target.name, stanza, Lines(say))
        if options.json:
            print_json([backup_json(b, proofs) for b in stanza.backups])
        else:
            write(proofs_text(stanza, proofs))
        verdicts = {found.verdict for found in proofs.verified.values()}
        if Verdict.FAIL in verdicts:
            return ExitCode.FAILURES
        return ExitCode.OK if verdicts == {Verdict.PASS} else ExitCode.UNKNOWN

    return told(work())


def told(work: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    """Run it; what pgBackRest itself refuses or fails at is a failure, not a thing unknown."""
    from console.output import complain
    from console.pgbackrest.backrest import BackrestFailed

    try:
        return wait(work)
    except BackrestFailed as error:
        complain(error)
        return ExitCode.FAILURES
