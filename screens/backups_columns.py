"""The lines of the Backups tab: dumps of our own, and pgBackRest's physical backups among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from console import units
from console.backup.manifest import Proof, Verdict
from console.backup.store import Backup
from console.findings import Severity
from console.pgbackrest import listing
from console.pgbackrest.history import History
from console.pgbackrest.info import Backup as Physical
from screens.widgets import marks
from screens.widgets.plain import one_line
from screens.widgets.record_table import Column

SEVERITIES = {
    Verdict.PASS: Severity.OK,
    Verdict.FAIL: Severity.FAILURE,
    Verdict.COULD_NOT_VERIFY: Severity.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One backup of either kind."""

    id: str
    verdict: Severity
    made_at: datetime
    age: str
    tier: str
    bytes: int | None
    seconds: float | None
    verified: Text
    drilled: Text
    expires: str
    note: str
    backup: Backup | None = None
    physical: Physical | None = None


def lines(
    backups: Sequence[Backup],
    expire: Mapping[str, datetime | None],
    history: History,
    now: datetime,
) -> list[Line]:
    """Both kinds, the newest first."""
    made = [_of_dump(backup, expire[backup.id], now) for backup in backups]
    made += [_of_physical(backup, history, now) for backup in history.backups]
    return sorted(made, key=lambda line: line.made_at, reverse=True)


def _of_dump(backup: Backup, expires: datetime | None, now: datetime) -> Line:
    manifest = backup.manifest
    return Line(
        id=backup.id,
        verdict=SEVERITIES[backup.verdict],
        made_at=backup.made_at,
        age=units.age(backup.made_at, now),
        tier=str(backup.tier or "?"),
        bytes=manifest.bytes if manifest else None,
        seconds=manifest.seconds if manifest else None,
        verified=_proof(backup.verification),
        drilled=_proof(backup.drill),
        expires="held" if backup.record.held else units.age(expires, now) if expires else "-",
        note=backup.problem or (manifest.note if manifest else ""),
        backup=backup,
    )


def _of_physical(backup: Physical, history: History, now: datetime) -> Line:
    found = history.proofs.verified.get(backup.label)
    verdict = SEVERITIES[found.verdict] if found else Severity.UNKNOWN
    return Line(
        id=backup.label,
        verdict=Severity.FAILURE if backup.page_errors else verdict,
        made_at=backup.stopped_at,
        age=units.age(backup.stopped_at, now),
        tier=listing.tier(backup),
        bytes=listing.own_bytes(backup),
        seconds=backup.seconds,
        verified=_proof(found),
        drilled=_proof(history.proofs.drilled.get(backup.label)),
        expires="-",
        note=listing.note(backup),
        physical=backup,
    )


def _proof(found: Proof | None) -> Text:
    if found is None:
        return Text("not yet", "dim")
    mark = marks.mark(SEVERITIES[found.verdict])
    if found.restore_seconds is not None and found.verdict is Verdict.PASS:
        mark.append(f" {units.duration(found.restore_seconds)}", "dim")
    return mark


COLUMNS = (
    Column[Line](
        "verdict", lambda line: marks.mark(line.verdict), lambda line: line.verdict.rank, width=9
    ),
    Column[Line]("made", lambda line: line.age, lambda line: line.made_at, width=12),
    Column[Line]("tier", lambda line: line.tier, width=14),
    Column[Line](
        "size",
        lambda line: units.size(line.bytes),
        lambda line: line.bytes or 0,
        right=True,
        width=8,
        descending=True,
    ),
    Column[Line](
        "took", lambda line: units.duration(line.seconds), right=True, priority=2, width=7
    ),
    Column[Line]("verified", lambda line: line.verified, priority=3, width=9),
    Column[Line]("drilled", lambda line: line.drilled, width=13),
    Column[Line]("expires", lambda line: line.expires, priority=1, width=10),
    Column[Line]("note", lambda line: one_line(line.note), priority=4, width=20),
)
