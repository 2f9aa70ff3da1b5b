"""The configuration of a side server: our own, with the original's put aside untouched.

The original's may ask for libraries, files and addresses that are not here, or archive into the
live server's archive.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from console.backup.store import explained
from console.pitr.names import lsn_text
from console.pitr.targets import Stop

_OWN = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")
_ORIGINAL = ".original"

_QUIET = {
    "hot_standby": "on",
    "default_transaction_read_only": "on",
    "archive_mode": "off",
    "archive_command": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "max_logical_replication_workers": "0",
    "shared_preload_libraries": "",
    "ssl": "off",
    "jit": "off",
    "autovacuum": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_timezone": "UTC",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "wal_recycle": "off",
    "restore_command": "/bin/false",
    "recovery_target_action": "pause",
}
"""All WAL that is needed lies in pg_wal, where nothing else is said: restore_command gives none."""

_THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def prepare_configuration(
    data: Path, stop: Stop, demanded: Mapping[str, str], *, durable: bool = False
) -> None:
    """Write what the server recovers with, to pause at `stop`. Raises CommandFailed."""
    goal = {
        "recovery_target_lsn": lsn_text(stop.lsn),
        "recovery_target_inclusive": "on" if stop.inclusive else "off",
        "recovery_target_timeline": str(stop.run.history.timeline),
    }
    write_configuration(data, {**demanded, **goal}, durable=durable)


def write_configuration(data: Path, goal: Mapping[str, str], *, durable: bool = False) -> None:
    """Put the original's files aside, and write our own with `goal`: where recovery is to end.

    Raises CommandFailed.
    """
    settings = {**_QUIET, **({} if durable else _THROWAWAY), **goal}
    lines = [f"{name} = '{_quoted(setting)}'" for name, setting in settings.items()]
    with explained(data):
        for name in _OWN:
            path, original = data / name, data / (name + _ORIGINAL)
            if path.exists() and not original.exists():
                path.rename(original)
        (data / "postgresql.conf").write_text("\n".join(lines) + "\n")
        (data / "postgresql.auto.conf").write_text("")
        # The socket's directory is open to its owner alone.
        (data / "pg_hba.conf").write_text("local all all trust\n")
        (data / "pg_ident.conf").write_text("")
        (data / "standby.signal").unlink(missing_ok=True)
        # Last: without it the server would start from whatever state the files have.
        (data / "recovery.signal").touch()


def restore_configuration(data: Path) -> tuple[str, ...]:
    """Give the original's files their names again; those that were not in the base backup.

    Raises CommandFailed.
    """
    missing = []
    with explained(data):
        for name in _OWN:
            path, original = data / name, data / (name + _ORIGINAL)
            if original.exists():
                original.replace(path)
            elif name != "postgresql.auto.conf":
                path.unlink(missing_ok=True)
                missing.append(name)
        (data / "recovery.signal").unlink(missing_ok=True)
    return tuple(missing)


def _quoted(setting: str) -> str:
    return setting.replace("\\", "\\\\").replace("'", "''")
