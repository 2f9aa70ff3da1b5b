"""What the kernel says of a running process, and how the console is opened on a test's database."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONSOLE = (sys.executable, "-m", "console")


def cpu_seconds(pid: int) -> float:
    """Processor time it has used so far, in itself and in the kernel for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory it has now, shared pages included."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def opening(database: Mapping[str, Any], home: Path) -> dict[str, str]:
    """The environment in which CONSOLE opens on a database (as psycopg.connect takes it)."""
    return {
        "DATABASE_URL": address(database),
        "PGPASSFILE": str(database["passfile"]),
        "HOME": str(home),
    }


def address(database: Mapping[str, Any]) -> str:
    """Its URL; the password stays in the passfile."""
    place = f"host={database['host']}&port={database['port']}"
    return f"postgresql://{database['user']}@/{database['dbname']}?{place}"
