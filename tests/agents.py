"""What the tests of the agent share: its process, its settings file, and somebody who is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import resident_bytes
from psycopg.conninfo import make_conninfo

from console.agent.history import HistoryReader, history_path
from console.settings import state_directory


def write_settings(path: Path, targets: Mapping[str, Mapping[str, str]], **sections: Any) -> Path:
    """A settings file for databases (as psycopg.connect takes them)."""
    document = {
        "targets": {name: {"url": make_conninfo(**database)} for name, database in targets.items()},
        **sections,
    }
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return path


class AgentProcess:
    """`medianest-console agent` with its log; `clock` is a file for agent_with_a_clock.py."""

    def __init__(
        self,
        settings: Path,
        clock: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = ["-m", "console", "agent", "--settings", str(settings)]
        if clock is not None:
            command = [str(Path(__file__).with_name("agent_with_a_clock.py"))]
            command += [str(settings), str(clock)]
        self.log_path = settings.with_suffix(".log")
        self._log = self.log_path.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **(environment or {})},
        )

    def __enter__(self) -> AgentProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def lines(self) -> list[dict[str, Any]]:
        """What it logged; each line must be JSON."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == name]

    def wait_for(self, name: str, times: int = 1, seconds: float = 60) -> dict[str, Any]:
        """The log line of the nth such event; fails when the agent ends or takes too long."""
        until(lambda: len(self.events(name)) >= times or self.process.poll() is not None, seconds)
        assert len(self.events(name)) >= times, self.log_path.read_text()
        return self.events(name)[times - 1]

    def stop(self, seconds: float = 30) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def rss_bytes(self) -> int:
        return resident_bytes(self.process.pid)

    def cpu_seconds(self) -> float:
        """Of it and the programs it ran."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def agent_history() -> HistoryReader:
    return HistoryReader(history_path())


def presence_path() -> Path:
    return state_directory() / "agent.json"


class Listener:
    """A web service that takes Apprise's json:// messages, and can be away for a while."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.received]

    def start(self) -> None:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(json.loads(content))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


@contextmanager
def small_disk(place: Path, megabytes: int = 32) -> Iterator[Path]:
    """A file system of its own; needs root, as CI has."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
