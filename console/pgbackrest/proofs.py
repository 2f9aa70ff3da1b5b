"""What `verify` and restores said of each backup: pgBackRest keeps no result, so the console does.

STATE/pgbackrest/TARGET.json: proofs by label, of one stanza of one cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from console.backup import jsonfile
from console.backup.manifest import Proof, Verdict
from console.backup.store import directory_name, explained
from console.pgbackrest.info import Stanza
from console.settings import state_directory


@dataclass(frozen=True, slots=True)
class Proofs:
    stanza: str = ""
    system_identifier: str = ""
    verified: dict[str, Proof] = field(default_factory=dict)
    """By label: the last time that all of it was read."""
    drilled: dict[str, Proof] = field(default_factory=dict)
    """By label: the last time that it was restored beside."""
    made: dict[str, datetime] = field(default_factory=dict)
    """By label: when the backup ended."""


@dataclass(frozen=True, slots=True)
class ProvenBackup:
    """One that is proven, as far as was written down of it."""

    id: str
    made_at: datetime
    drill: Proof | None


def proven_backups(
    target: str, stanza: str
) -> tuple[tuple[ProvenBackup, ...], tuple[ProvenBackup, ...]]:
    """Those that passed a verification, and those that passed a drill; pgBackRest is not asked."""
    found = _read(target)
    if found is None or found.stanza != stanza:
        return (), ()

    def passed(proofs: Mapping[str, Proof]) -> tuple[ProvenBackup, ...]:
        return tuple(
            ProvenBackup(label, found.made[label], found.drilled.get(label))
            for label, proof in proofs.items()
            if proof.verdict is Verdict.PASS and label in found.made
        )

    return passed(found.verified), passed(found.drilled)


def _read(target: str) -> Proofs | None:
    try:
        return jsonfile.decode(jsonfile.read(_path(target)), Proofs)
    except (OSError, ValueError):
        return None


def read_proofs(target: str, stanza: Stanza) -> Proofs:
    """What is proven of the stanza's backups; nothing when it is another stanza's or damaged."""
    nothing = Proofs(stanza.name, _identity(stanza))
    found = _read(target)
    if found is None:
        return nothing
    same = (found.stanza, found.system_identifier) == (stanza.name, _identity(stanza))
    return found if same else nothing


def keep_verified(target: str, stanza: Stanza, proofs: Mapping[str, Proof]) -> Proofs:
    """Add proofs, forget those of backups that are gone; all known then. Raises CommandFailed."""
    known = read_proofs(target, stanza)
    return _keep(target, stanza, replace(known, verified={**known.verified, **proofs}))


def keep_drilled(target: str, stanza: Stanza, label: str, proof: Proof) -> Proofs:
    """Add what restoring one of them said; all known then. Raises CommandFailed."""
    known = read_proofs(target, stanza)
    return _keep(target, stanza, replace(known, drilled={**known.drilled, label: proof}))


def _keep(target: str, stanza: Stanza, known: Proofs) -> Proofs:
    labels = {backup.label for backup in stanza.backups}
    kept = replace(
        known,
        verified={label: found for label, found in known.verified.items() if label in labels},
        drilled={label: found for label, found in known.drilled.items() if label in labels},
        made={backup.label: backup.stopped_at for backup in stanza.backups},
    )
    path = _path(target)
    with explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        jsonfile.write(path, jsonfile.encode(kept))
    return kept


def _path(target: str) -> Path:
    return state_directory() / "pgbackrest" / f"{directory_name(target)}.json"


def _identity(stanza: Stanza) -> str:
    return stanza.cluster.system_identifier if stanza.cluster else ""
