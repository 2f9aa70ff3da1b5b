"""Whether the server runs on this machine, and what the machine has: memory, disks, mounts."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


def runs_here(backend_pid: int) -> bool:
    """Whether our own backend is a process of this machine, as its command line tells.

    A server in a container or behind a tunnel numbers its processes otherwise, and is not here.
    """
    try:
        command = Path(f"/proc/{backend_pid}/cmdline").read_bytes()
    except OSError:
        return False
    return command.startswith(b"postgres:") or b"/postgres" in command.partition(b"\0")[0]


def memory_bytes(backend_pid: int) -> int | None:
    """The machine's memory, or the control group's limit where that is less (cgroup v2)."""
    total = _total_memory()
    limit = _group_limit(backend_pid)
    known = [amount for amount in (total, limit) if amount is not None]
    return min(known) if known else None


def _total_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _group_limit(pid: int) -> int | None:
    try:
        group = Path(f"/proc/{pid}/cgroup").read_text().strip().rpartition("::")[2]
        text = Path(f"/sys/fs/cgroup{group}/memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds a path."""

    mount: str
    total: int
    free: int
    """What an unprivileged program may still write."""

    @property
    def used_share(self) -> float:
        """As df counts it: space that only root may use is not there."""
        used = self.total - self.free
        return used / self.total if self.total else 0.0


def disk_of(path: Path) -> Disk | None:
    """The file system that a path is on; None when it cannot be told from here.

    A directory that is closed to us is found by the table of mounts, unless a symbolic link on
    the way leads elsewhere.
    """
    try:
        place = path.resolve(strict=True)
        mount = _mount_of(place)
        usage = shutil.disk_usage(place)
    except PermissionError:
        mount = _mount_of(path)
        try:
            usage = shutil.disk_usage(mount)
        except OSError:
            return None
    except OSError:
        return None
    return Disk(mount, usage.used + usage.free, usage.free)


def _mount_of(path: Path) -> str:
    place = path
    while place != place.parent and not os.path.ismount(place):
        place = place.parent
    return str(place)
