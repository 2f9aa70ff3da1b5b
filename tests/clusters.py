"""A real primary with a streaming standby, for the tests of what surrounds a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import run_sql
from psycopg.conninfo import make_conninfo

from console.local_server import LocalServer, find_binaries

SERVER_SETTINGS = {
    "wal_level": "replica",
    "max_connections": "40",
    "shared_buffers": "16MB",
    "fsync": "off",
    "autovacuum": "off",
    "wal_receiver_status_interval": "1s",
}
STANDBY = "spare"
"""The standby's application_name, and its slot."""


@dataclass
class Pair:
    """A primary, and a standby that streams from it through a slot."""

    primary: LocalServer
    standby: LocalServer

    def at_primary(self, database: str = "shop") -> dict[str, Any]:
        return dict(self.primary.conninfo(database))

    def at_standby(self, database: str = "shop") -> dict[str, Any]:
        # Its roles are the primary's, and so are their passwords.
        passfile = str(self.primary.directory.passfile)
        return {**self.standby.conninfo(database), "passfile": passfile}


@contextmanager
def streaming_pair(major: int) -> Iterator[Pair]:
    """Both exist only for the block; the database `shop` is empty."""
    root = Path(tempfile.mkdtemp(prefix=f"console-pair{major}-", dir="/tmp"))
    root.chmod(0o755)
    binaries = find_binaries(major)
    primary = LocalServer(binaries, root / "primary", SERVER_SETTINGS)
    # A query in the way of replay is ended at once.
    follows = {**SERVER_SETTINGS, "max_standby_streaming_delay": "0"}
    standby = LocalServer(binaries, root / "standby", follows)
    try:
        with primary:
            run_sql(primary.conninfo("postgres"), "CREATE DATABASE shop")
            _copy(primary, standby)
            standby.start()
            try:
                yield Pair(primary, standby)
            finally:
                standby.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _copy(primary: LocalServer, standby: LocalServer) -> None:
    """As an operator makes a standby: pg_basebackup -R, with a slot made for it."""
    standby.directory.claim()
    password = primary.directory.password("postgres")
    assert password is not None
    given = {**primary.conninfo("postgres"), "application_name": STANDBY}
    # The server's account may not read the passfile, and the walreceiver runs as that account.
    del given["passfile"]
    command = [str(primary.bin_dir / "pg_basebackup"), "-d", make_conninfo(**given), "-R", "-w"]
    command += ["-C", "-S", STANDBY, "-X", "stream", "-c", "fast"]
    copied = subprocess.run(
        [*command, "-D", str(standby.data_directory)],
        cwd="/",
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
        **(primary.account.process_options() if primary.account else {}),
    )
    assert copied.returncode == 0, copied.stderr
