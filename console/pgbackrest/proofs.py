"""What `verify` said of each backup: pgBackRest keeps no result, so the console does.

STATE/pgbackrest/TARGET.json: proofs by label, of one stanza of one cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from console.backup import jsonfile
from console.backup.manifest import Proof
from console.backup.store import directory_name, explained
from console.pgbackrest.info import Stanza
from console.settings import state_directory


@dataclass(frozen=True, slots=True)
class Proofs:
    stanza: str
    system_identifier: str
    by_label: dict[str, Proof] = field(default_factory=dict)


def read_proofs(target: str, stanza: Stanza) -> Mapping[str, Proof]:
    """What is proven of the stanza's backups; nothing when it is another stanza's or damaged."""
    try:
        found = jsonfile.decode(jsonfile.read(_path(target)), Proofs)
    except (OSError, ValueError):
        return {}
    return found.by_label if _is_of(found, stanza) else {}


def keep_proofs(target: str, stanza: Stanza, proofs: Mapping[str, Proof]) -> Mapping[str, Proof]:
    """Add proofs, and forget those of backups that are gone; all that are known then.

    Raises CommandFailed.
    """
    known = {**read_proofs(target, stanza), **proofs}
    labels = {backup.label for backup in stanza.backups}
    kept = {label: found for label, found in known.items() if label in labels}
    path = _path(target)
    with explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        jsonfile.write(path, jsonfile.encode(Proofs(stanza.name, _identity(stanza), kept)))
    return kept


def _path(target: str) -> Path:
    return state_directory() / "pgbackrest" / f"{directory_name(target)}.json"


def _is_of(found: Proofs, stanza: Stanza) -> bool:
    return (found.stanza, found.system_identifier) == (stanza.name, _identity(stanza))


def _identity(stanza: Stanza) -> str:
    return stanza.cluster.system_identifier if stanza.cluster else ""
