"""Notable moments of an archive: what somebody may want to go back before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from console.pitr.archive import Archive
from console.pitr.stretch import Notable

_OF_TABLES = ("drop", "truncate")
_ONLY_FOR_RECOVERY = "parameters"


def moments(archive: Archive) -> tuple[Notable, ...]:
    """Every notable moment with its table's name, the newest first.

    A transaction that drops or empties tables names those that were ever seen; it also removes
    the files of indexes, and of tables it rewrote.
    """
    events = [
        event
        for stretch in archive.stretches
        for sealed in stretch.ledger.values()
        for event in sealed.notable
        if event.kind != _ONLY_FOR_RECOVERY
    ]
    named = [_named(event, archive) for event in events]
    alone = [event for event in named if event.kind not in _OF_TABLES]
    found = [*alone, *_grouped(event for event in named if event.kind in _OF_TABLES)]
    return tuple(sorted(found, key=lambda event: event.lsn, reverse=True))


def _named(event: Notable, archive: Archive) -> Notable:
    if not event.file:
        return event
    return replace(event, name=archive.names.get((event.database, event.file), ""))


def _grouped(events: Iterable[Notable]) -> list[Notable]:
    """One line a transaction; those that touch no table known by name are left out."""
    found: dict[tuple[str, int], Notable] = {}
    for event in events:
        if not event.name:
            continue
        key = (event.kind, event.lsn)
        names = [*(found[key].name.split(", ") if key in found else ()), event.name]
        found[key] = replace(event, name=", ".join(dict.fromkeys(names)))
    return list(found.values())
