"""backup run-due: a backup where the schedule asks for one, told in words or as JSON."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.commands.each import add_all_option, on_each
from console.commands.phases import PhaseReport
from console.errors import ConsoleError, ExitCode

if TYPE_CHECKING:
    from console.backup.job import Job
    from console.backup.manifest import Tier
    from console.backup.prune import Pruned
    from console.backup.store import Backup, Store
    from console.offsite.push import Pushed
    from console.settings import Settings
    from console.target import Target


def register(action: Any, actions: Any) -> None:
    """`action` is backup.py's maker of a sub-command."""
    due = action(actions, "run-due", run, "make a backup if one is due, then prune")
    due.add_argument("--dry-run", action="store_true", help="only say what is due")
    due.add_argument("--json", action="store_true", help="print JSON; with --all a list by target")
    add_all_option(due)


def run(options: argparse.Namespace) -> ExitCode:
    if options.json:
        return _as_json(options)
    return on_each(options, _in_words) if options.all else _in_words(options)


def _in_words(options: argparse.Namespace) -> ExitCode:
    turn = _Turn(options)
    if turn.tier is None or options.dry_run:
        from console.output import write

        write(f"A {turn.tier} backup is due.\n" if turn.tier else "Nothing is due.\n")
    turn.take()
    turn.tell()
    return turn.code


def _as_json(options: argparse.Namespace) -> ExitCode:
    import json

    from console.output import write

    entries: list[dict[str, object]] = []

    def one(chosen: argparse.Namespace) -> ExitCode:
        try:
            turn = _Turn(chosen)
            turn.take()
        except ConsoleError as error:
            entries.append({"target": chosen.target, "error": error.message, "hint": error.hint})
            raise
        entries.append(turn.document())
        return turn.code

    code = on_each(options, one, headed=False) if options.all else one(options)
    told = entries if options.all else entries[0]
    write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    return code


class _Turn:
    """What is due for one target, and what came of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        from datetime import UTC, datetime

        from console.backup.schedule import due
        from console.backup.store import Store
        from console.commands.target import settings_and_target

        self.settings: Settings
        self.target: Target
        self.settings, self.target = settings_and_target(options)
        self.store: Store = Store(self.settings.backups.directory)
        made = self.store.backups(self.target.name)
        self.tier: Tier | None = due(made, self.settings.backups.schedule, datetime.now(UTC))
        self.dry_run: bool = options.dry_run
        self.backup: Backup | None = None
        self.pushed: tuple[Pushed, ...] = ()
        self.pruned: Pruned | None = None
        self.code = ExitCode.OK

    def take(self) -> None:
        """Make the backup and prune; where none is due, copy what the stores missed."""
        from console.backup.job import Job
        from console.backup.prune import prune
        from console.commands.backup import wait_for

        if self.dry_run:
            return
        if self.tier is None:
            self.code = wait_for(self._copy())
            return
        self.code = wait_for(self._make(Job("create", self.tier)))
        if self.code is ExitCode.OK:
            policy = self.settings.backups.retention
            self.pruned = prune(self.store, self.target.name, policy, dry_run=False)

    async def _make(self, job: Job) -> ExitCode:
        from console.backup.job import carry_out
        from console.commands.backup import code_of

        self.backup = await carry_out(job, self.target, self.settings, PhaseReport())
        return code_of(self.backup.verdict)

    async def _copy(self) -> ExitCode:
        from console.backup.job import copy_out

        self.pushed = await copy_out(self.store, self.target.name, self.settings, PhaseReport())
        missed = any(answer.problem for answer in self.pushed)
        return ExitCode.FAILURES if missed else ExitCode.OK

    def tell(self) -> None:
        from console.commands.backup import tell_details
        from console.commands.backup_stores import tell_pushed

        if self.backup is not None:
            tell_details(self.backup, self.settings)
        tell_pushed(self.pushed)

    def document(self) -> dict[str, object]:
        from console.backup.describe import as_json

        backup = self.backup and as_json(self.backup, self.settings.backups.retention)
        return {
            "target": self.target.name,
            "due": str(self.tier) if self.tier else None,
            "backup": backup,
            "pruned": list(self.pruned.removed) if self.pruned else [],
            "stores": [
                {
                    "store": answer.store,
                    "copied": list(answer.copied),
                    "problem": answer.problem.message if answer.problem else None,
                }
                for answer in self.pushed
            ],
        }
