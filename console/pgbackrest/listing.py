"""The history of both kinds in one list: dumps of our own, and pgBackRest's physical backups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from console.backup import describe
from console.backup.policy import Retention
from console.backup.store import Backup as Dump
from console.pgbackrest.describe import backup_json
from console.pgbackrest.history import History
from console.pgbackrest.info import Backup
from console.units import age, duration, size


def tier(backup: Backup) -> str:
    """Where a dump's tier stands: what kind of backup it is."""
    return f"physical, {backup.kind}"


def note(backup: Backup) -> str:
    """Whose it is, and of how much."""
    pages = ", PAGE CHECKSUM ERRORS" if backup.page_errors else ""
    return f"pgBackRest repo{backup.repo}, cluster of {size(backup.bytes)}{pages}"


def own_bytes(backup: Backup) -> int | None:
    """What it takes in the repository beside the backups it builds on."""
    return backup.repo_bytes if backup.repo_delta_bytes is None else backup.repo_delta_bytes


def table(dumps: Sequence[Dump], policy: Retention, history: History, now: datetime) -> str:
    """One line a backup of either kind, the newest first."""
    rows = [(dump.made_at, describe.row(dump, policy, now)) for dump in dumps]
    rows += [(backup.stopped_at, _row(backup, history, now)) for backup in history.backups]
    return describe.lined_up([cells for _, cells in sorted(rows, reverse=True)])


def _row(backup: Backup, history: History, now: datetime) -> tuple[str, ...]:
    return (
        backup.label,
        tier(backup),
        age(backup.stopped_at, now),
        size(own_bytes(backup)),
        duration(backup.seconds),
        describe.verified(history.proofs.verified.get(backup.label)),
        describe.drilled(history.proofs.drilled.get(backup.label)),
        "-",
        note(backup),
    )


def as_json(dumps: Sequence[Dump], policy: Retention, history: History) -> list[dict[str, Any]]:
    """Every backup of either kind, the newest first; pgBackRest's say so in `tool`."""
    found = [(dump.made_at, describe.as_json(dump, policy)) for dump in dumps]
    found += [(b.stopped_at, backup_json(b, history.proofs)) for b in history.backups]
    return [content for _, content in sorted(found, key=lambda pair: pair[0], reverse=True)]


def sentence(backup: Backup, history: History, now: datetime) -> str:
    """It in a sentence, for --plain."""
    verified = describe.verified(history.proofs.verified.get(backup.label))
    return (
        f"Backup {backup.label} of pgBackRest: {tier(backup)}, made {age(backup.stopped_at, now)},"
        f" {size(own_bytes(backup))}, verified: {verified}."
    )
