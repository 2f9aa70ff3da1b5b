"""What the databases of a restore are called: never longer than PostgreSQL keeps."""

from __future__ import annotations

from datetime import UTC, datetime

LONGEST = 63
"""Bytes of a name that PostgreSQL keeps (NAMEDATALEN - 1); longer ones it cuts silently."""

STAMPS = f"{'[0-9]' * 8}t{'[0-9]' * 6}"
"""Which file names begin with a stamp."""

_STAMP = "%Y%m%dt%H%M%S"


def stamp(moment: datetime) -> str:
    """To the second, fit for a name: 20261124t034512."""
    return f"{moment:{_STAMP}}"


def moment(stamp: str) -> datetime:
    """The moment of a stamp. Raises ValueError for what is none."""
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)


def fitted(name: str, suffix: str) -> str:
    """`name` with `suffix`, the name cut at a whole character so that both fit into 63 bytes.

    >>> fitted("app", "_before_20261124t034512")
    'app_before_20261124t034512'
    """
    room = LONGEST - len(suffix.encode())
    return name.encode()[:room].decode("utf-8", "ignore") + suffix


def scratch(name: str, at: str) -> str:
    return fitted(name, f"_restore_{at}")


def before(name: str, at: str) -> str:
    """What the database that was live is called after the cut-over."""
    return fitted(name, f"_before_{at}")


def restored(name: str, at: str) -> str:
    """What the restored database is called after an undo."""
    return fitted(name, f"_restored_{at}")
