"""What is proven of a target's backups of either kind, by what the console wrote down alone.

pgBackRest is not asked: a fleet is looked at every few seconds. So a backup counts that was
verified or restored from here, also when pgBackRest has let go of it since; its age tells.
"""

from __future__ import annotations

from collections.abc import Iterable

from console.backup import history
from console.backup.history import Newest, Proven
from console.backup.store import Store
from console.pgbackrest.backrest import backrest_of
from console.pgbackrest.proofs import proven_backups
from console.settings import Settings


def newest_proven(settings: Settings, target: str) -> Newest:
    """The newest verified and the newest drilled one, be it a dump or pgBackRest's."""
    own = history.newest_proven(Store(settings.backups.directory), target)
    backrest = backrest_of(settings, target)
    if backrest is None:
        return own
    verified, drilled = proven_backups(target, backrest.stanza)
    return Newest(_newest([own.verified, *verified]), _newest([own.drilled, *drilled]))


def _newest(found: Iterable[Proven | None]) -> Proven | None:
    known = [backup for backup in found if backup is not None]
    return max(known, key=lambda backup: backup.made_at, default=None)
