"""How long base backups and WAL stay, decided together.

A base goes only with the WAL that leads on from it, and WAL goes only when no base that stays
needs it. The newest verified bases stay whatever their age, and so does all that is needed to go
back `keep_days`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from console.backup import jsonfile
from console.backup.manifest import Verdict
from console.backup.store import explained
from console.pitr.archive import Archive
from console.pitr.base import Base, bases, remove_base
from console.pitr.names import lsn
from console.pitr.policy import PitrSettings
from console.pitr.stretch import Stretch, WalFile


@dataclass(frozen=True, slots=True)
class BaseDecision:
    base: Base
    keep: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes and what stays; nothing is removed by making it."""

    bases: tuple[BaseDecision, ...]
    """Newest first."""
    wal: tuple[tuple[Stretch, WalFile], ...]
    """Segments that go."""

    @property
    def freed_bytes(self) -> int:
        going = [decision.base for decision in self.bases if not decision.keep]
        made = sum(base.manifest.bytes for base in going if base.manifest)
        return made + sum(file.bytes for _, file in self.wal)


def plan(archive: Archive, settings: PitrSettings, now: datetime | None = None) -> Plan:
    """Decide. Raises CommandFailed when the archive cannot be read."""
    decisions = _bases(archive, settings, now or datetime.now(UTC))
    kept = [decision.base for decision in decisions if decision.keep]
    return Plan(tuple(decisions), tuple(_wal(archive, kept)))


def _bases(archive: Archive, settings: PitrSettings, now: datetime) -> list[BaseDecision]:
    known = bases(archive)
    horizon = now - timedelta(days=settings.keep_days)
    good = [base for base in known if base.verdict is Verdict.PASS]
    reasons: dict[str, str] = {}
    for base in good[: settings.keep_bases]:
        reasons[base.id] = f"one of the newest {settings.keep_bases} verified"
    for base in known:
        if base.manifest is not None and base.manifest.ended_at >= horizon:
            reasons.setdefault(base.id, f"younger than {settings.keep_days} days")
    older = [base for base in good if base.manifest and base.manifest.ended_at < horizon]
    if older:
        # Going back to the horizon begins at the newest base before it.
        reasons.setdefault(older[0].id, f"the way back {settings.keep_days} days begins with it")
    if not good:
        # While nothing is proven, nothing is let go.
        reasons = {base.id: "no base backup is verified" for base in known}
    for base in [base for base in known if base.id in reasons]:
        _keep_chain(archive, base, reasons)
    return [
        BaseDecision(base, base.id in reasons, reasons.get(base.id, "older, and not needed"))
        for base in known
    ]


def _keep_chain(archive: Archive, base: Base, reasons: dict[str, str]) -> None:
    manifest = base.manifest
    if manifest is None or not manifest.parent:
        return
    known = {other.id: other for other in bases(archive)}
    parent = known.get(manifest.parent)
    if parent is not None:
        reasons.setdefault(parent.id, f"{base.id} is laid over it")
        _keep_chain(archive, parent, reasons)


def _wal(archive: Archive, kept: Sequence[Base]) -> list[tuple[Stretch, WalFile]]:
    """Segments of our own archive before the begin of the oldest base that stays in the stretch.

    Without any base in it, a stretch that is not the current one goes whole.
    """
    found: list[tuple[Stretch, WalFile]] = []
    newest = archive.current.number
    for stretch in archive.stretches:
        if stretch.foreign:
            continue
        starts = [
            lsn(base.manifest.start_lsn)
            for base in kept
            if base.manifest is not None and base.manifest.stretch == stretch.number
        ]
        files = stretch.fresh().files.values()
        if starts:
            first = min(starts) // stretch.segment_bytes
            found += [(stretch, file) for file in files if file.segment.number < first]
        elif stretch.number != newest and kept:
            found += [(stretch, file) for file in files]
    return found


def prune(archive: Archive, settings: PitrSettings, *, dry_run: bool) -> Plan:
    """Carry the plan out: bases first, then the WAL that was theirs alone; the plan.

    A killed run leaves WAL without its base, which the next one removes, and never the other way
    round. Raises ActionRefused while a base backup is being made, CommandFailed.
    """
    if dry_run:
        return plan(archive, settings)
    with archive.lock("base", "A base backup is being made"):
        decided = plan(archive, settings)
        carry_out(archive, decided)
    return decided


def carry_out(archive: Archive, decided: Plan) -> None:
    """Remove what a plan lets go (hold the base lock). Raises CommandFailed."""
    for decision in decided.bases:
        if not decision.keep:
            remove_base(archive, decision.base)
    for stretch in {stretch.number: stretch for stretch, _ in decided.wal}.values():
        _remove(stretch, [file for of, file in decided.wal if of.number == stretch.number])


def _remove(stretch: Stretch, files: Sequence[WalFile]) -> None:
    """Oldest first, and forgotten by the ledger before: a removed segment is no loss."""
    stretch.unseal({file.segment.name for file in files})
    with explained(stretch.directory):
        for file in files:
            _unlink(file.path)
        jsonfile.sync_directory(stretch.directory)


def _unlink(path: Path) -> None:
    for name in (path, path.with_suffix("") if path.suffix == ".gz" else path):
        name.unlink(missing_ok=True)
