"""medianest-console backup list: the dumps, and pgBackRest's backups among them."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from console import plain
from console.backup.history import remarks
from console.backup.store import Store
from console.commands.plain import wants_plain
from console.errors import ExitCode
from console.findings import Severity
from console.output import tell, write
from console.pgbackrest import listing
from console.pgbackrest.backrest import backrest_of
from console.pgbackrest.history import History, findings, read_history, with_history
from console.settings import Settings
from console.target import Target


async def tell_list(
    options: argparse.Namespace, settings: Settings, target: Target, store: Store
) -> ExitCode:
    """The dumps, and pgBackRest's backups where settings name a stanza."""
    backups, policy = store.backups(target.name), settings.backups.retention
    backrest = backrest_of(settings, target.name)
    history = await read_history(backrest, target.name) if backrest else History()
    now = datetime.now(UTC)
    if options.json:
        content = listing.as_json(backups, policy, history)
        write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    elif wants_plain(options):
        if backups or not history.backups:
            write(plain.backups(backups, policy, now))
        write("".join(listing.sentence(b, history, now) + "\n" for b in history.backups))
    elif backups or history.backups:
        write(listing.table(backups, policy, history, now))
    physical = findings(backrest, history, now) if backrest else ()
    own = remarks(backups, now)
    told = with_history(own, bool(backups), physical) if backrest else own
    for finding in told:
        if finding.severity is not Severity.OK and not options.json:
            tell(f"{finding.severity}: {finding.message}")
    if options.json and history.problem:
        tell(history.problem)
    return ExitCode.OK
