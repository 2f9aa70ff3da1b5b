"""What the tests of pgBackRest share: a server that archives through it, and its repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.local_server import LocalServer, find_binaries
from console.pgbackrest.backrest import Backrest, require
from console.pgbackrest.policy import PgbackrestSettings
from console.server_binaries import server_account
from console.settings import Settings, TargetSettings
from console.target import Target

STANZA = "home"

_SERVER_SETTINGS = {
    "wal_level": "replica",
    "archive_mode": "on",
    "shared_buffers": "32MB",
    "fsync": "off",
    "autovacuum": "off",
}


@dataclass
class Backrests:
    """One server, its stanza (made only when `create` is called) and a settings file."""

    server: LocalServer
    target: Target
    settings: Settings
    root: Path

    @property
    def backrest(self) -> Backrest:
        return require(self.settings, self.target.name)

    @property
    def repository(self) -> Path:
        return self.root / "repo"

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.yaml"

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        database: dict[str, Any] = dict(self.target.parameters)
        with psycopg.connect(**database, autocommit=True) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def pgbackrest(self, action: str, *options: str) -> str:
        """Run it outside the console; its output."""
        command = self.backrest.command(action, *options)
        finished: subprocess.CompletedProcess[str] = subprocess.run(
            command.argv,
            env=dict(command.environment or {}),
            capture_output=True,
            text=True,
            check=True,
            **(command.account.process_options() if command.account else {}),
        )
        return finished.stdout

    def archive_with(self, command: str) -> None:
        """Change archive_command, and wait until the server has read it."""
        self.sql(f"ALTER SYSTEM SET archive_command = '{command}'", "SELECT pg_reload_conf()")
        while self.sql("SHOW archive_command") != [(command,)]:
            pass

    def wait_until_it_writes(self) -> None:
        """A server that recovers can be read before it has come to its end."""
        while self.sql("SELECT pg_is_in_recovery()") == [(True,)]:
            time.sleep(0.1)

    def damage(self, pattern: str) -> Path:
        """Overwrite some bytes in the middle of the largest file of the repository like it."""
        path = max(self.repository.glob(pattern), key=lambda found: found.stat().st_size)
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"not what it was")
        return path


def require_pgbackrest() -> None:
    if shutil.which("pgbackrest") is None:
        if "CI" in os.environ:
            raise FileNotFoundError("pgbackrest is not installed")
        pytest.skip("pgbackrest is not installed")


@contextmanager
def backrest_server(major: int = 15) -> Iterator[Backrests]:
    """A server of a major version that exists only for the block, without a stanza yet."""
    require_pgbackrest()
    root = Path(tempfile.mkdtemp(prefix="console-backrest-", dir="/tmp"))
    root.chmod(0o755)
    for name in ("repo", "log", "lock", "spool"):
        (root / name).mkdir(mode=0o755)
        _lend(root / name)
    config = root / "pgbackrest.conf"
    server = LocalServer(find_binaries(major), root / "server", _SERVER_SETTINGS)
    server.initdb()
    # pgBackRest comes through the socket as the server's own account, which has no password.
    (server.data_directory / "pg_hba.conf").write_text("local all all trust\n")
    try:
        server.start()
        config.write_text(_configuration(root, server))
        yield _opened(root, server, config)
    finally:
        server.stop(immediately=True)
        shutil.rmtree(root, ignore_errors=True)


def _opened(root: Path, server: LocalServer, config: Path) -> Backrests:
    parameters = server.conninfo("postgres")
    account = server_account()
    entry = PgbackrestSettings(STANZA, config, user=account.name if account else "postgres")
    settings = Settings(
        targets={"home": TargetSettings(" ".join(f"{k}={v}" for k, v in parameters.items()))},
        pgbackrest={"home": entry},
    )
    (root / "settings.yaml").write_text(
        f"targets: {{home: {{url: '{settings.targets['home'].url}'}}}}\n"
        f"pgbackrest: {{home: {{stanza: {STANZA}, config: {config}, user: {entry.user}}}}}\n"
    )
    made = Backrests(server, Target("home", parameters), settings, root)
    made.archive_with(f"pgbackrest --config={config} --stanza={STANZA} archive-push %p")
    return made


def _configuration(root: Path, server: LocalServer) -> str:
    return f"""
[global]
repo1-path={root}/repo
log-path={root}/log
lock-path={root}/lock
spool-path={root}/spool
log-level-file=off
start-fast=y
archive-timeout=10
[{STANZA}]
pg1-path={server.data_directory}
pg1-socket-path={server.host}
pg1-port={server.port}
pg1-user=postgres
"""


def _lend(path: Path) -> None:
    account = server_account()
    if account is not None:
        os.chown(path, account.uid, account.gid)
