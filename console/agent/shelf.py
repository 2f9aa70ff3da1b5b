"""A target's backups, read again only when their directory changed."""

from __future__ import annotations

from pathlib import Path

from console.backup.store import Backup, Store

_Seal = tuple[tuple[str, int], ...]


class Shelf:
    """Blocks for milliseconds: use a thread."""

    def __init__(self, store: Store, target: str) -> None:
        self._store, self._target = store, target
        self._seal: _Seal | None = None
        self.known: tuple[Backup, ...] = ()
        """As they were read last."""

    def backups(self) -> tuple[Backup, ...]:
        """All of them, the newest first. Raises CommandFailed."""
        seal = _seal(self._store.directory(self._target))
        if seal != self._seal:
            self.known = self._store.backups(self._target)
            self._seal = seal
        return self.known


def _seal(directory: Path) -> _Seal:
    """Records are replaced whole, so each change of a backup shows in its directory's time."""
    try:
        return tuple(
            (path.name, path.stat().st_mtime_ns)
            for path in sorted(directory.iterdir())
            if path.name[0] != "."
        )
    except OSError:
        return ()
