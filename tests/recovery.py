"""What the tests of point-in-time recovery share: a server, a workload with a ledger, a receiver.

The ledger is kept by the workload itself, outside the database: which row was committed when.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from console.local_server import LocalServer, find_binaries
from console.pitr.archive import Archive, require
from console.pitr.policy import PitrSettings
from console.pitr.receiver_state import ReceiverState, read_state
from console.settings import Settings
from console.target import Target

SERVER_SETTINGS = {
    "wal_level": "replica",
    "max_connections": "40",
    "shared_buffers": "32MB",
    "fsync": "off",
    "autovacuum": "off",
    "max_slot_wal_keep_size": "2GB",
    "min_wal_size": "80MB",
    "max_wal_size": "512MB",
}


@dataclass
class Recovery:
    """One server with an archive of its own."""

    server: LocalServer
    target: Target
    settings: Settings
    root: Path

    @property
    def archive(self) -> Archive:
        return require(self.settings.pitr, self.target.name)

    @property
    def state(self) -> ReceiverState:
        found = read_state(self.archive)
        assert found is not None
        return found

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.database, autocommit=True) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    @property
    def database(self) -> dict[str, Any]:
        return dict(self.target.parameters)

    def switch(self) -> None:
        """End the segment that is being written."""
        self.sql("SELECT pg_switch_wal()")


@contextmanager
def recovery_server(major: int, extra: dict[str, str] | None = None) -> Iterator[Recovery]:
    """A server of a major version that exists only for the block, and empty directories."""
    root = Path(tempfile.mkdtemp(prefix=f"console-pitr{major}-", dir="/tmp"))
    root.chmod(0o755)
    summaries = {"summarize_wal": "on"} if major >= 17 else {}
    server = LocalServer(
        find_binaries(major),
        root / "server",
        {**SERVER_SETTINGS, **summaries, **(extra or {})},
        stop_timeout=20,
    )
    try:
        with server:
            admin: dict[str, Any] = {**server.conninfo("postgres")}
            with psycopg.connect(**admin, autocommit=True) as connection:
                connection.execute("CREATE DATABASE shop")
            target = Target("live", server.conninfo("shop"))
            pitr = PitrSettings(directory=root / "archive", side_directory=root / "side")
            settings = Settings(pitr=pitr)
            settings = replace(
                settings, backups=replace(settings.backups, directory=root / "backups")
            )
            yield Recovery(server, target, settings, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


RECEIVER = """
import asyncio, pickle, sys
from console.pitr.receive import receive
target, settings = pickle.loads(sys.stdin.buffer.read())
asyncio.run(receive(target, settings, lambda line: print(line, file=sys.stderr, flush=True)))
"""


@contextmanager
def receiving(recovery: Recovery) -> Iterator[subprocess.Popen[bytes]]:
    """A receiver in a process of its own, streaming when the block begins."""
    process = start_receiver(recovery)
    try:
        try:
            wait_until(lambda: _streams(recovery, process.pid), 30, "the receiver streams")
        except AssertionError as error:
            log = (recovery.root / "receiver.log").read_text(encoding="utf-8", errors="replace")
            raise AssertionError(f"{error}: {read_state(recovery.archive)}\n{log}") from None
        yield process
    finally:
        stop_receiver(process)


def _streams(recovery: Recovery, pid: int) -> bool:
    state = recovery.state
    return state.pid == pid and state.phase == "receiving"


def start_receiver(recovery: Recovery) -> subprocess.Popen[bytes]:
    log = (recovery.root / "receiver.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-c", RECEIVER], stdin=subprocess.PIPE, stdout=log, stderr=log
    )
    log.close()
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((recovery.target, recovery.settings)))
    process.stdin.close()
    return process


def stop_receiver(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(number)
    process.wait(20)


def wait_until(holds: Any, seconds: float, what: str) -> None:
    """Fail the test when `holds` does not within so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(AssertionError):
            if holds():
                return
        time.sleep(0.05)
    raise AssertionError(f"not in {seconds} s: {what}")


@dataclass(frozen=True)
class Entry:
    """A row that the workload has committed, as the client knows it."""

    id: int
    before: datetime
    """The commit had not been asked for yet."""
    after: datetime
    """The server had said yes."""
    xid: int
    lsn_before: str
    lsn_after: str


@dataclass
class Workload:
    """Inserts one row a transaction, and writes down each that was acknowledged."""

    database: dict[str, Any]
    ledger: list[Entry] = field(default_factory=list)
    unsure: set[int] = field(default_factory=set)
    """Asked for, and never answered: the connection broke."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    pause: float = 0.004

    def __enter__(self) -> Workload:
        with psycopg.connect(**self.database, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS sales"
                " (id bigint PRIMARY KEY, note text NOT NULL, sold_at timestamptz DEFAULT now())"
            )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                with psycopg.connect(**self.database, autocommit=True) as connection:
                    while not self._stop.is_set():
                        number += 1
                        self._one(connection, number)
                        time.sleep(self.pause)
            except psycopg.Error:
                time.sleep(0.1)

    def _one(self, connection: psycopg.Connection[Any], number: int) -> None:
        self.unsure.add(number)
        connection.execute("BEGIN")
        row = connection.execute(
            "INSERT INTO sales (id, note) VALUES (%s, repeat(md5(%s::text), 20))"
            " RETURNING pg_current_xact_id()::text::bigint, pg_current_wal_insert_lsn()::text",
            (number, number),
        ).fetchone()
        assert row is not None
        before = datetime.now(UTC)
        connection.execute("COMMIT")
        after = datetime.now(UTC)
        late = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        assert late is not None
        self.ledger.append(Entry(number, before, after, int(row[0]), row[1], late[0]))
        self.unsure.discard(number)


def opened(target: Target) -> psycopg.Connection[tuple[Any, ...]]:
    """A session in a target; close it, or use it as a block."""
    parameters: dict[str, Any] = dict(target.parameters)
    return psycopg.connect(**parameters)


def kill_postmaster(server: LocalServer) -> None:
    """As a crash would: no session is told, nothing is written."""
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    # Its children notice that the postmaster is gone and end by themselves.
    server.stop(immediately=True)
    time.sleep(0.3)
