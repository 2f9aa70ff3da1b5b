"""The part of medianest-console backup that speaks with stores: push, fetch, and --from STORE."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.backup.manifest import Check
    from console.backup.store import Backup, Store
    from console.offsite.push import Pushed, Report
    from console.settings import Settings
    from console.target import Target


def add_from_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="store", metavar="STORE", help="the copies in a store of the settings"
    )


async def push(
    settings: Settings, target: Target, store: Store, options: argparse.Namespace, report: Report
) -> ExitCode:
    """`backup push`: one backup, or all that are lacking, to one store or to all."""
    from console.offsite.push import push_missing

    if not settings.offsite:
        raise ActionRefused(
            "The settings name no store.", "Add one under `offsite`; see docs/offsite.md."
        )
    if options.to is not None and options.to not in settings.offsite:
        known = ", ".join(sorted(settings.offsite))
        raise ActionRefused(
            f"There is no store '{options.to}' in the settings.", f"Known: {known}."
        )
    names = [options.to] if options.to else list(settings.offsite)
    stores = {name: settings.offsite[name] for name in names}
    only = store.find(options.id, target.name).id if options.id else None
    return tell_pushed(await push_missing(store, target.name, stores, report, only=only))


def tell_pushed(answers: Sequence[Pushed]) -> ExitCode:
    """A line a store; FAILURES when one of them did not get what it should."""
    from console.output import complain, write

    for answer in answers:
        if answer.copied:
            write(f"{answer.store}: copied {', '.join(answer.copied)}.\n")
        elif answer.problem is None:
            write(f"{answer.store}: has everything.\n")
        if answer.problem is not None:
            complain(answer.problem)
    return ExitCode.FAILURES if any(answer.problem for answer in answers) else ExitCode.OK


async def fetch(
    settings: Settings, target: Target, store: Store, name: str, reference: str, report: Report
) -> Backup:
    """A copy brought back into the backup directory. Raises ConsoleError kinds."""
    import asyncio

    from console.offsite import copies
    from console.offsite.fetch import fetch as bring
    from console.offsite.fetch import opened

    place = await opened(name, settings.offsite)
    there = await asyncio.to_thread(copies.copies, place, target.name)
    found = copies.find(there, reference, place)
    return await bring(place, store, found, target.name, settings.backups, report)


async def tell_copies(settings: Settings, target: Target, name: str, *, as_json: bool) -> ExitCode:
    """`backup list --from`: what a store holds."""
    import asyncio
    import json
    from datetime import UTC, datetime

    from console.backup.describe import table
    from console.offsite import copies
    from console.offsite.fetch import listing, opened
    from console.output import tell, write

    place = await opened(name, settings.offsite)
    there = await asyncio.to_thread(copies.copies, place, target.name)
    if as_json:
        content = listing(place, there, target.name)
        write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    elif there:
        backups = [copy.backup for copy in there]
        write(table(backups, place.settings.retention, datetime.now(UTC)))
    else:
        tell(f"The store '{name}' holds no copy of '{target.name}'.")
    return ExitCode.OK


async def verify_copies(
    settings: Settings, target: Target, name: str, reference: str | None, report: Report
) -> ExitCode:
    """`backup verify --from`: read copies to their end, where they are."""
    import asyncio

    from console.backup.manifest import Verdict, verdict_of
    from console.offsite import copies
    from console.offsite.fetch import examine, opened

    place = await opened(name, settings.offsite)
    there = await asyncio.to_thread(copies.copies, place, target.name)
    chosen = [copies.find(there, reference, place)] if reference else list(there)
    verdicts = []
    for copy in chosen:
        checks = await examine(place, copy, target.name, report)
        _tell_checks(copy.id, checks)
        verdicts.append(verdict_of(checks))
    return ExitCode.FAILURES if Verdict.FAIL in verdicts else ExitCode.OK


def _tell_checks(identity: str, checks: Sequence[Check]) -> None:
    from console.backup.manifest import verdict_of
    from console.output import write

    write(f"{identity}: {verdict_of(checks)}\n")
    for check in checks:
        write(f"  {check.verdict}: {check.what}: {check.answer}\n")


def register_stores(action: Any, actions: Any, run_push: Any, run_fetch: Any) -> None:
    """The two actions of their own; `action` makes a parser among `actions`."""
    pushing = action(actions, "push", run_push, "copy verified backups to the settings' stores")
    pushing.add_argument(
        "id", nargs="?", metavar="ID", help="an id, or latest; all that a store lacks, if left out"
    )
    pushing.add_argument("--to", metavar="STORE", help="default: every store")
    fetching = action(actions, "fetch", run_fetch, "bring a copy back into the backup directory")
    fetching.add_argument("id", nargs="?", default="latest", metavar="ID", help="default: latest")
    fetching.add_argument(
        "--from", dest="store", metavar="STORE", required=True, help="a store of the settings"
    )
