"""medianest-console pitr: keep WAL and base backups, and go back to a moment."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, TypeVar

from console.commands.pitr_restore import register_restoring
from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from console.pgbackrest.status import Status as StanzaStatus
    from console.pitr.archive import Archive
    from console.pitr.status import Status
    from console.settings import Settings
    from console.target import Target

Judged = TypeVar("Judged", "Status", "StanzaStatus")

_DESCRIPTION = (
    "Point-in-time recovery: base backups and WAL received over a replication slot, audited, and"
    " recovered to any moment on a side server. The live server's files are never touched."
)
_EPILOG = (
    "Exit code: 0 well, 1 warnings, 2 something is lost or damaged, 3 it could not be checked or"
    " begun, 130 interrupted."
)


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "pitr",
        help="recover to a moment, such as five minutes before the mistake",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _register_keeping(actions)
    register_restoring(actions)


def action(actions: Any, name: str, run: Any, words: str, *, json: bool = False) -> Any:
    """One action's parser, with the options that name the database."""
    from console.cli import add_target_options

    parser = actions.add_parser(
        name, help=words, description=words[:1].upper() + words[1:] + ".", allow_abbrev=False
    )
    add_target_options(parser)
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _register_keeping(actions: Any) -> None:
    setup = action(actions, "setup", run_setup, "make the archive and its replication slot")
    setup.add_argument(
        "--slot-limit",
        metavar="SIZE",
        help="set max_slot_wal_keep_size, e.g. 10GB (needs a superuser)",
    )
    setup.add_argument(
        "--new-archive", action="store_true", help="put an archive of another server aside"
    )
    setup.add_argument("--dry-run", action="store_true", help="only look")
    remove = action(actions, "remove-slot", run_remove_slot, "stop the server from keeping WAL")
    remove.add_argument("--confirm", default="", metavar="SLOT", help="the slot's name")
    action(actions, "receive", run_receive, "receive WAL until interrupted")
    base = action(actions, "base", run_base, "make a base backup and verify it")
    base.add_argument("--incremental", action="store_true", help="over the newest one (17+)")
    base.add_argument("--note", default="", metavar="TEXT", help="kept with it")
    base.add_argument("--no-verify", action="store_true", help="leave it unverified")
    base.add_argument("--if-due", action="store_true", help="only when due, and prune then")
    verify = action(actions, "verify", run_verify, "prove a base backup by reading all of it")
    verify.add_argument("id", nargs="?", metavar="ID", help="default: all not verified yet")
    action(actions, "status", run_status, "say what can be recovered", json=True)
    action(actions, "audit", run_audit, "read all WAL, compare its hashes", json=True)


def open_archive(options: argparse.Namespace) -> tuple[Settings, Target, Archive]:
    from console.commands.target import settings_and_target
    from console.pitr.archive import require

    settings, target = settings_and_target(options)
    return settings, target, require(settings.pitr, target.name)


def require_changes(options: argparse.Namespace, settings: Settings) -> None:
    if options.read_only or settings.read_only:
        raise ActionRefused("This changes something, and --read-only is set.", "Leave it out.")


def wait(work: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    from console.commands.backup import wait_for

    return wait_for(work)


def say(line: str) -> None:
    from console.output import tell

    tell(line)


def told_status(
    status: Judged,
    text: Callable[[Judged], str],
    document: Callable[[Judged], Any],
    options: argparse.Namespace,
) -> ExitCode:
    """Print a status as the options want it; the exit code by its worst finding."""
    from console.findings import exit_code, worst
    from console.output import write

    if options.json:
        print_json(document(status))
    else:
        write(text(status))
    return exit_code(worst(status.findings), fail_on_warning=True)


def print_json(content: Any) -> None:
    import json

    from console.output import write

    write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def run_setup(options: argparse.Namespace) -> ExitCode:
    from console.commands.target import settings_and_target
    from console.findings import exit_code, worst
    from console.output import write
    from console.pitr.setup import look, megabytes, set_up

    settings, target = settings_and_target(options)

    async def work() -> ExitCode:
        if options.dry_run:
            findings = (await look(target, settings)).findings
            done = "The server can have its WAL kept."
        else:
            require_changes(options, settings)
            limit = megabytes(options.slot_limit) if options.slot_limit else None
            archive, findings = await set_up(
                target, settings, slot_limit_mb=limit, new_archive=options.new_archive
            )
            slot = f", with the slot {archive.info.slot}" if archive.info.slot else ""
            done = (
                f"The archive is {archive.directory}{slot}.\n"
                "Next: `pitr receive` (or the agent), then `pitr base`."
            )
        for finding in findings:
            say(f"{finding.severity}: {finding.message} {finding.fix}".rstrip())
        code = exit_code(worst(findings)) if findings else ExitCode.OK
        if code is ExitCode.OK:
            write(f"{done}\n")
        return code

    return wait(work())


def run_remove_slot(options: argparse.Namespace) -> ExitCode:
    from console.output import write
    from console.pitr.setup import remove_slot

    settings, target, archive = open_archive(options)
    require_changes(options, settings)
    slot = archive.info.slot
    if not slot or options.confirm != slot:
        raise ActionRefused(
            "Without its slot the server keeps no WAL for the archive: a gap follows.",
            f"Add --confirm {slot}." if slot else "This archive has no slot.",
        )

    async def work() -> ExitCode:
        found = await remove_slot(target, slot)
        write(f"The slot {slot} is {'dropped' if found else 'not there'}.\n")
        return ExitCode.OK

    return wait(work())


def run_receive(options: argparse.Namespace) -> ExitCode:
    from console.commands.target import settings_and_target
    from console.pitr.receive import receive

    settings, target = settings_and_target(options)
    require_changes(options, settings)

    async def work() -> ExitCode:
        await receive(target, settings, say)
        return ExitCode.OK

    return wait(work())


def run_base(options: argparse.Namespace) -> ExitCode:
    from console.backup.manifest import Verdict
    from console.output import write
    from console.pitr.base import make_base, verify_base
    from console.pitr.due import base_is_due
    from console.pitr.retention import prune

    settings, target, archive = open_archive(options)
    require_changes(options, settings)
    if options.if_due and not base_is_due(archive, settings.pitr):
        write("No base backup is due.\n")
        return ExitCode.OK

    async def work() -> ExitCode:
        base = await make_base(
            target,
            settings,
            archive,
            incremental=options.incremental,
            note=options.note,
            tell=say,
        )
        if not options.no_verify:
            base = await verify_base(archive, base, settings, say)
        tell_base(base)
        good = options.no_verify or base.verdict is Verdict.PASS
        if options.if_due and good:
            prune(archive, settings.pitr, dry_run=False)
        return ExitCode.OK if good else ExitCode.FAILURES

    return wait(work())


def tell_base(base: Any) -> None:
    from datetime import UTC, datetime

    from console.output import write
    from console.pitr.describe import base_line

    write(base_line(base, datetime.now(UTC)) + "\n")
    if base.verification is not None and base.verification.reason:
        say(base.verification.reason)


def run_verify(options: argparse.Namespace) -> ExitCode:
    from console.backup.manifest import Verdict
    from console.pitr.base import bases, find_base, verify_base

    settings, _target, archive = open_archive(options)
    chosen = (
        [find_base(archive, options.id)]
        if options.id
        else [base for base in bases(archive) if base.verification is None]
    )

    async def work() -> ExitCode:
        code = ExitCode.OK
        for base in chosen:
            verified = await verify_base(archive, base, settings, say)
            tell_base(verified)
            code = code if verified.verdict is Verdict.PASS else ExitCode.FAILURES
        return code

    if not chosen:
        say("Every base backup was verified already.")
    return wait(work())


def run_status(options: argparse.Namespace) -> ExitCode:
    from console.commands.target import settings_and_target
    from console.pitr.describe import as_json, status_text
    from console.pitr.status import ask_status

    settings, target = settings_and_target(options)

    async def work() -> ExitCode:
        status = await ask_status(target, settings)
        return told_status(status, status_text, as_json, options)

    return wait(work())


def run_audit(options: argparse.Namespace) -> ExitCode:
    from console.output import write
    from console.pitr.audit import audit
    from console.pitr.describe import audit_json, audit_text

    settings, _target, archive = open_archive(options)

    async def work() -> ExitCode:
        found = await audit(archive, settings, say)
        if options.json:
            print_json(audit_json(found))
        else:
            write(audit_text(found))
        return ExitCode.OK if found.good else ExitCode.FAILURES

    return wait(work())
