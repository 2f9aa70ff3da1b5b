"""medianest-console backup: make, prove, list and prune backups."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.commands import backup_due, backup_stores
from console.commands.phases import PhaseReport
from console.commands.plain import add_plain_option
from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from console.backup.job import Job
    from console.backup.manifest import Verdict
    from console.backup.store import Backup, Store
    from console.settings import Settings
    from console.target import Target

_TIERS = ("daily", "weekly", "monthly", "pre-deployment", "manual")
_EPILOG = (
    "Exit code: 0 done and proven, 2 a backup or its proof failed, 3 it could not be verified or"
    " could not be begun, also a mistake in the command line or the settings, 130 interrupted."
)


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "backup",
        help="make, verify, drill, list and prune backups",
        description="Backups that are published whole or not at all, and proven.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _register_making(actions)
    _register_proving(actions)
    _register_keeping(actions)
    backup_stores.register_stores(_action, actions, run_push, run_fetch)


def _action(actions: Any, name: str, run: Any, words: str) -> Any:
    from console.cli import add_target_options

    parser = actions.add_parser(
        name, help=words, description=words[:1].upper() + words[1:] + ".", allow_abbrev=False
    )
    add_target_options(parser)
    parser.set_defaults(run=run)
    return parser


def _register_making(actions: Any) -> None:
    create = _action(actions, "create", run_create, "make a backup and verify it")
    create.add_argument(
        "--tier", choices=_TIERS, default="manual", help="decides how long it stays"
    )
    create.add_argument("--note", default="", metavar="TEXT", help="kept in the manifest")
    create.add_argument("--no-verify", action="store_true", help="leave it unverified")
    adopt = _action(actions, "adopt", run_adopt, "take a dump file into history")
    adopt.add_argument("path", type=Path, metavar="PATH", help="a file or directory of pg_dump")
    adopt.add_argument("--tier", choices=_TIERS, help="instead of the one the name says")
    adopt.add_argument("--note", default="", metavar="TEXT", help="kept in the manifest")
    adopt.add_argument("--link", action="store_true", help="hard link instead of copying")
    backup_due.register(_action, actions)


def _register_proving(actions: Any) -> None:
    verify = _action(actions, "verify", run_verify, "prove a backup by reading all of it")
    verify.add_argument(
        "id", nargs="?", metavar="ID", help="all that are not verified yet, when left out"
    )
    backup_stores.add_from_option(verify)
    drill = _action(actions, "drill", run_drill, "restore into a scratch database and compare")
    drill.add_argument("id", nargs="?", default="latest", metavar="ID", help="default: latest")
    drill.add_argument(
        "--on",
        choices=["server", "temporary"],
        default="server",
        help="the target's server, or one of our own",
    )
    backup_stores.add_from_option(drill)
    drill.add_argument("--jobs", type=int, metavar="N", help="parallel sessions of pg_restore")


def _register_keeping(actions: Any) -> None:
    listing = _action(actions, "list", run_list, "show the history of backups")
    listing.add_argument("--json", action="store_true", help="print JSON")
    add_plain_option(listing)
    backup_stores.add_from_option(listing)
    show = _action(actions, "show", run_show, "show all that is known of a backup")
    show.add_argument("id", metavar="ID", help="an id, its beginning, or latest")
    show.add_argument("--json", action="store_true", help="print JSON")
    prune = _action(actions, "prune", run_prune, "remove backups that retention lets go")
    prune.add_argument("--dry-run", action="store_true", help="only say what and why")
    for name, words in (("hold", "keep a backup until released"), ("release", "hold no longer")):
        held = _action(actions, name, run_hold, words)
        held.add_argument("id", metavar="ID", help="an id, its beginning, or latest")
        held.set_defaults(held=name == "hold")


def _open(options: argparse.Namespace) -> tuple[Settings, Target, Store]:
    from console.backup.store import Store
    from console.commands.target import settings_and_target

    settings, target = settings_and_target(options)
    return settings, target, Store(settings.backups.directory)


def _may_change(options: argparse.Namespace, settings: Settings) -> None:
    if options.read_only or settings.read_only:
        raise ActionRefused("This changes something, and --read-only is set.", "Leave it out.")


def run_create(options: argparse.Namespace) -> ExitCode:
    from console.backup.job import Job
    from console.backup.manifest import Tier

    settings, target, _store = _open(options)
    job = Job("create", Tier(options.tier), options.note, unverified=options.no_verify)
    return wait_for(_create(settings, target, job))


async def _carry_out(settings: Settings, target: Target, job: Job) -> Backup:
    from console.backup.job import carry_out

    backup = await carry_out(job, target, settings, PhaseReport())
    tell_details(backup, settings)
    return backup


async def _create(settings: Settings, target: Target, job: Job) -> ExitCode:
    backup = await _carry_out(settings, target, job)
    return ExitCode.OK if job.unverified else code_of(backup.verdict)


def code_of(verdict: Verdict) -> ExitCode:
    from console.backup.manifest import Verdict

    return {
        Verdict.PASS: ExitCode.OK,
        Verdict.FAIL: ExitCode.FAILURES,
        Verdict.COULD_NOT_VERIFY: ExitCode.UNKNOWN,
    }[verdict]


def tell_details(backup: Backup, settings: Settings) -> None:
    from datetime import UTC, datetime

    from console.backup.describe import details
    from console.output import write

    write(details(backup, settings.backups.retention, datetime.now(UTC)))


def wait_for(work: Any) -> ExitCode:
    """Run a coroutine; SIGTERM and SIGHUP cancel it, so that it leaves nothing half done."""
    import asyncio
    import signal

    async def main() -> ExitCode:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        code: ExitCode = await task
        return code

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def run_adopt(options: argparse.Namespace) -> ExitCode:
    from console.backup.adopt import adopt
    from console.backup.manifest import Tier
    from console.backup.verify import verify

    settings, target, store = _open(options)

    async def work() -> ExitCode:
        backup = await adopt(
            store,
            target.name,
            options.path,
            settings.tools,
            tier=Tier(options.tier) if options.tier else None,
            note=options.note,
            link=options.link,
        )
        backup = await verify(store, backup, settings.tools)
        tell_details(backup, settings)
        return code_of(backup.verdict)

    return wait_for(work())


def run_push(options: argparse.Namespace) -> ExitCode:
    settings, target, store = _open(options)
    _may_change(options, settings)
    return wait_for(backup_stores.push(settings, target, store, options, PhaseReport()))


def run_fetch(options: argparse.Namespace) -> ExitCode:
    settings, target, store = _open(options)
    _may_change(options, settings)

    async def work() -> ExitCode:
        backup = await backup_stores.fetch(
            settings, target, store, options.store, options.id, PhaseReport()
        )
        tell_details(backup, settings)
        return ExitCode.OK

    return wait_for(work())


def run_verify(options: argparse.Namespace) -> ExitCode:
    from console.backup.verify import verify
    from console.output import tell

    settings, target, store = _open(options)
    if options.store:
        return wait_for(
            backup_stores.verify_copies(settings, target, options.store, options.id, PhaseReport())
        )
    backups = store.backups(target.name)
    chosen = (
        [store.find(options.id, target.name)]
        if options.id
        else [backup for backup in backups if backup.verification is None]
    )

    async def work() -> ExitCode:
        codes = []
        for backup in chosen:
            verified = await verify(store, backup, settings.tools)
            tell_details(verified, settings)
            codes.append(code_of(verified.verdict))
        return _worst(codes)

    if not chosen:
        tell("Every backup was verified already.")
    return wait_for(work())


def _worst(codes: list[ExitCode]) -> ExitCode:
    order = (ExitCode.FAILURES, ExitCode.UNKNOWN)
    return next((code for code in order if code in codes), ExitCode.OK)


def run_drill(options: argparse.Namespace) -> ExitCode:
    from dataclasses import replace

    from console.backup.job import Job

    settings, target, store = _open(options)
    if options.on == "server":
        _may_change(options, settings)
    if options.jobs:
        settings = replace(settings, backups=replace(settings.backups, jobs=options.jobs))

    async def work() -> ExitCode:
        if options.store:
            fetched = await backup_stores.fetch(
                settings, target, store, options.store, options.id, PhaseReport()
            )
            identity = fetched.id
        else:
            identity = store.find(options.id, target.name).id
        job = Job("drill", backup=identity, place=options.on)
        drilled = (await _carry_out(settings, target, job)).drill
        return ExitCode.UNKNOWN if drilled is None else code_of(drilled.verdict)

    return wait_for(work())


def run_list(options: argparse.Namespace) -> ExitCode:
    from console.commands.backup_list import tell_list

    settings, target, store = _open(options)
    if options.store:
        return wait_for(
            backup_stores.tell_copies(settings, target, options.store, as_json=options.json)
        )
    return wait_for(tell_list(options, settings, target, store))


def run_show(options: argparse.Namespace) -> ExitCode:
    import json

    from console.backup.describe import as_json
    from console.output import write

    settings, target, store = _open(options)
    backup = store.find(options.id, target.name)
    if options.json:
        content = as_json(backup, settings.backups.retention)
        write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    else:
        tell_details(backup, settings)
    return ExitCode.OK


def run_prune(options: argparse.Namespace) -> ExitCode:
    from console.backup.describe import plan
    from console.backup.prune import prune
    from console.output import tell, write
    from console.units import size

    settings, target, store = _open(options)
    if not options.dry_run:
        _may_change(options, settings)
    pruned = prune(store, target.name, settings.backups.retention, dry_run=options.dry_run)
    write(plan(pruned.decisions))
    if not options.dry_run:
        tell(f"Removed {len(pruned.removed)} backups, {size(pruned.freed_bytes)}.")
    return ExitCode.OK


def run_hold(options: argparse.Namespace) -> ExitCode:
    from dataclasses import replace

    from console.output import write

    settings, target, store = _open(options)
    _may_change(options, settings)
    backup = store.find(options.id, target.name)
    store.change_record(backup, lambda record: replace(record, held=options.held))
    write(f"{backup.id} is {'held' if options.held else 'released'}.\n")
    return ExitCode.OK
