"""What the tests of backups share: one made with the real tools, and ways to harm one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.backup.dump import create_backup, silent
from console.backup.manifest import Tier
from console.backup.policy import BackupSettings
from console.backup.store import Backup, Store
from console.target import Target
from console.tools import Tools, find_tools

PASSWORD = "sample-password"


def connected(database: Mapping[str, Any]) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(**database, autocommit=True)


def target_of(database: Mapping[str, str], name: str = "home") -> Target:
    return Target(name, dict(database))


def settings_for(root: Path, **changes: Any) -> BackupSettings:
    return BackupSettings(**{"directory": root, "keep_free_mb": 0, **changes})


async def tools_of(database: Mapping[str, str], major: int | None = None) -> Tools:
    with connected(database) as connection:
        own = connection.info.server_version // 10000
    return await find_tools(major or own)


async def make_backup(
    database: Mapping[str, str],
    root: Path,
    *,
    tier: Tier = Tier.MANUAL,
    major: int | None = None,
    report: Any = silent,
    **changes: Any,
) -> Backup:
    """A real backup of a test database by the tools of its own (or the given) major."""
    return await create_backup(
        target_of(database),
        Store(root),
        settings_for(root, **changes),
        await tools_of(database, major),
        tier=tier,
        report=report,
    )


def left_behind(root: Path) -> list[str]:
    """Everything in the backup directory that is no lock and no published backup."""
    found = []
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        hidden = [part for part in relative.parts if part.startswith(".")]
        if hidden and hidden[0] not in (".lock", ".record-lock"):
            found.append(str(relative))
    return found


def children_named(program: str, parent: int | None = None) -> list[int]:
    """Process ids of our (or the given process's) children that run `program`."""
    wanted = parent or os.getpid()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            if not entry.name.isdigit():
                continue
            stat = (entry / "stat").read_text()
            name, rest = stat.partition("(")[2].rsplit(")", 1)
            if name == program and int(rest.split()[1]) == wanted:
                found.append(int(entry.name))
    return found


def fill(database: Mapping[str, str], rows: int = 150_000) -> None:
    """A table whose rows compress badly, so that a dump of it takes a while."""
    with connected(database) as connection:
        connection.execute("CREATE TABLE public.ballast (id int, noise text)")
        connection.execute(
            "INSERT INTO public.ballast"
            " SELECT g, md5(g::text) || md5((g + 1)::text) FROM generate_series(1, %s) AS g",
            [rows],
        )


@contextlib.contextmanager
def small_disk(megabytes: int, options: str = "") -> Iterator[Path]:
    """A file system of its own; skips the test where it may not be mounted."""
    directory = Path(tempfile.mkdtemp(prefix="console-test-disk-", dir="/tmp"))
    settings = f"size={megabytes}m" + (f",{options}" if options else "")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", settings, "tmpfs", str(directory)], capture_output=True
    )
    if done.returncode != 0:
        directory.rmdir()
        pytest.skip("needs the right to mount a small file system")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)
        directory.rmdir()


async def until(condition: Any, seconds: float = 10.0) -> bool:
    """Wait for something to come true."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False
