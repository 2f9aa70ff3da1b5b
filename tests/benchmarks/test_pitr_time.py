"""Time to a readable side server, beside a bare PostgreSQL recovery of the same files.

Run with: pytest -m benchmark -s tests/benchmarks/test_pitr_time.py
The bare recovery is what an operator would type: cp -a of the base backup, a restore_command of
gzip, recovery.signal, start, wait until it is paused. Both stop at the same position; they take
turns, and the medians are compared.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from recovery import Recovery, receiving, recovery_server, wait_until

from console.local_server import LocalServer
from console.pitr.base import make_base, verify_base
from console.pitr.names import lsn, lsn_text
from console.pitr.setup import set_up
from console.pitr.side import drop, recover
from console.pitr.targets import Stop, Wanted, resolve
from console.pitr.tooling import tools_for

pytestmark = pytest.mark.benchmark

ROUNDS = 5
MOST = 1.2


@pytest.mark.parametrize("major", [18, 15])
def test_a_side_server_is_readable_as_soon_as_a_bare_recovery(major: int) -> None:
    with recovery_server(major) as recovery:
        ours, bare, segments = asyncio.run(_measure(recovery))
    ratio = statistics.median(ours) / statistics.median(bare)
    print(
        f"\nPostgreSQL {major}, {segments} segments of WAL: ours {_words(ours)},"
        f" bare {_words(bare)}, ratio {ratio:.2f}"
    )
    assert ratio <= MOST


def _words(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


async def _measure(recovery: Recovery) -> tuple[list[float], list[float], int]:
    await set_up(recovery.target, recovery.settings)
    recovery.sql("CREATE TABLE load (id int PRIMARY KEY, text text)")
    recovery.sql("INSERT INTO load SELECT g, md5(g::text) FROM generate_series(1, 400000) g")
    with receiving(recovery):
        base = await make_base(recovery.target, recovery.settings, recovery.archive)
        await verify_base(recovery.archive, base, recovery.settings)
        for number in range(6):
            recovery.sql(f"UPDATE load SET text = md5(text || {number}) WHERE id % 3 = 0")
        recovery.switch()
        end = lsn(recovery.sql("SELECT pg_current_wal_flush_lsn()::text")[0][0])
        wait_until(lambda: lsn(recovery.state.recovery_lsn) >= end, 120, "all is received")
        wait_until(lambda: _all_packed(recovery), 120, "all is packed")
    tools = await tools_for(recovery.archive.info.major, recovery.settings)
    stop = await resolve(recovery.archive, Wanted("latest"), tools)
    ours, bare = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        side = await recover(recovery.archive, recovery.settings, stop, tools)
        ours.append(time.monotonic() - began)
        await asyncio.to_thread(drop, side)
        bare.append(_bare(recovery, stop))
    return ours, bare, len(recovery.archive.current.files)


def _all_packed(recovery: Recovery) -> bool:
    files = recovery.archive.current.fresh().files.values()
    return all(file.partial or file.path.suffix == ".gz" for file in files)


def _bare(recovery: Recovery, stop: Stop) -> float:
    """As by hand; seconds until it is paused at the target and answers."""
    place = recovery.root / "bare"
    shutil.rmtree(place, ignore_errors=True)
    wal = stop.run.stretch.directory
    server = LocalServer(recovery.server.bin_dir, place, _settings(stop, wal), start_timeout=600)
    # The server's account must be able to read what root keeps for itself.
    server.directory.claim()
    open_to_server(recovery, server, wal)
    began = time.monotonic()
    subprocess.run(["cp", "-a", str(stop.base.data), str(place)], check=True)
    server.give(place / "data")
    (place / "data" / "recovery.signal").touch()
    server.start()
    database: dict[str, Any] = {**server.conninfo("postgres"), "password": _password(recovery)}
    while True:
        with psycopg.connect(**database, autocommit=True) as connection:
            row = connection.execute("SELECT pg_is_wal_replay_paused()").fetchone()
        if row is not None and row[0]:
            break
        time.sleep(0.005)
    seconds = time.monotonic() - began
    server.stop(immediately=True)
    return seconds


def _settings(stop: Stop, wal: Path) -> dict[str, str]:
    restore = f"gzip -dc {wal}/%f.gz > %p || cp {wal}/%f.partial %p"
    return {
        "restore_command": restore,
        "recovery_target_lsn": lsn_text(stop.lsn),
        "recovery_target_action": "pause",
        "archive_mode": "off",
        "max_connections": "40",
        "shared_buffers": "128MB",
        "fsync": "off",
    }


def _password(recovery: Recovery) -> str:
    password = recovery.server.directory.password("postgres")
    assert password is not None
    return password


def open_to_server(recovery: Recovery, server: LocalServer, wal: Path) -> None:
    """The archive is its owner's alone; here it is shown to the bare server's account."""
    for path in (wal, *wal.parents):
        if path == recovery.root:
            break
        path.chmod(0o755)
    for path in wal.iterdir():
        path.chmod(0o644)
    server.give(server.directory.path)
