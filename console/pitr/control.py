"""What a data directory demands of a server that recovers it: pg_controldata's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from console.pitr.stretch import Notable
from console.process import output_of
from console.tools import Tools

_MINIMUM = {
    "max_connections": "max_connections",
    "max_worker_processes": "max_worker_processes",
    "max_wal_senders": "max_wal_senders",
    "max_prepared_xacts": "max_prepared_transactions",
    "max_locks_per_xact": "max_locks_per_transaction",
}
"""Names in pg_controldata and in WAL, and the settings that may not be lower on a standby."""

_SETTING = re.compile(r"^(max_\w+) setting: +(\d+)$", re.MULTILINE)
_CHANGED = re.compile(r"(max_\w+)=(\d+)")


async def demanded_settings(
    data: Path, changes: Iterable[Notable], tools: Tools
) -> Mapping[str, str]:
    """The least that hot standby needs, with every change that the WAL to be replayed makes.

    Raises CommandFailed when pg_controldata cannot read the directory.
    """
    with tools.command(None, "pg_controldata", str(data)) as command:
        finished, output = await output_of(command)
    if finished.returncode != 0:
        raise finished.failure(f"{data} cannot be read", "Use another base backup.")
    found = dict(_SETTING.findall(output))
    for change in changes:
        if change.kind == "parameters":
            for name, value in _CHANGED.findall(change.name):
                found[name] = str(max(int(value), int(found.get(name, "0"))))
    return {setting: found[name] for name, setting in _MINIMUM.items() if name in found}
