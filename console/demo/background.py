"""The workload as a process of its own: started, watched by the kernel, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import make_conninfo

from console.children import spawn

_STOP_SECONDS = 3.0


@contextmanager
def running_workload(conninfo: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the workload on a database while inside; it ends with us, however we end.

    `conninfo` is passed in argv and therefore names a passfile, never a password.
    """
    if "password" in conninfo:
        raise ValueError("a password must not be put into argv")
    # The console may run from its source tree: the child shall import the same one.
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "console.demo.workload", make_conninfo(**conninfo)]
    process = spawn(
        command,
        output=subprocess.DEVNULL,
        environment={**os.environ, "PYTHONPATH": path},
        dies_with=signal.SIGTERM,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
