"""The programs we are measured beside, in an environment of their own that is made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Not the test's home, which is new each time: making this takes most of a minute.
_PLACE = Path("/var/tmp") / f"console-benchmark-peers-{sys.version_info[0]}.{sys.version_info[1]}"

PACKAGES = ("harlequin", "harlequin-postgres", "pgcli", "pg_activity", "psycopg[binary]")


def peer(program: str) -> str:
    """The path of a peer's program, installed when it is not there; skips the test without one."""
    path = _PLACE / "bin" / program
    if not path.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(_PLACE)], check=True)
            pip = [str(_PLACE / "bin" / "pip"), "install", "--quiet", *PACKAGES]
            subprocess.run(pip, check=True, timeout=300, stdout=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"the peers could not be installed: {error}")
    return str(path)
