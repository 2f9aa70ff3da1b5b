"""The agent through everything at once: CONSOLE_SOAK_MINUTES=20 pytest -m slow -k soak

The server is killed and started again ten times, the notification service is away for a third of
the time, a disk fills up, and the clock is set forward and back.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from agents import AgentProcess, Listener, listening, small_disk, until, write_settings
from conftest import Database, run_sql

from console.backup.manifest import Verdict
from console.backup.store import Store
from console.errors import CommandFailed
from console.local_server import LocalServer, find_binaries

SECONDS = float(os.environ.get("CONSOLE_SOAK_MINUTES", "1")) * 60
KILLS = 10
_HOUR = 3600.0


@dataclass
class Clock:
    """The file that agent_with_a_clock.py reads."""

    path: Path
    set_off: float = 0.0
    passed: float = 0.0

    def write(self) -> None:
        partial = self.path.with_suffix(".partial")
        partial.write_text(f"{self.set_off} {self.passed}")
        partial.replace(self.path)

    def is_set(self, hours: float) -> None:
        self.set_off += hours * _HOUR
        self.write()

    def passes(self, hours: float) -> None:
        self.passed += hours * _HOUR
        self.write()


@dataclass
class Memory:
    """The agent's memory, sampled in a thread."""

    agent: AgentProcess
    samples: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Memory:
        threading.Thread(target=self._sample, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _sample(self) -> None:
        while not self._over.wait(1):
            self.samples.append(self.agent.rss_bytes())

    @property
    def growth(self) -> float:
        """From the second tenth (it has done each kind of work by then) to the last, as a share."""
        tenth = max(3, len(self.samples) // 10)
        first = statistics.median(self.samples[tenth : 2 * tenth])
        return statistics.median(self.samples[-tenth:]) / first - 1


def kill(server: LocalServer) -> None:
    """As the kernel does it when memory runs out."""
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    server.stop()  # takes note that it is gone


def start_again(server: LocalServer) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.start()
        except CommandFailed:
            # What the killed server left, its children, goes away by itself.
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            return


@pytest.fixture
def away(server15: LocalServer) -> Iterator[Database]:
    run_sql(server15.conninfo("postgres"), "CREATE DATABASE soak TEMPLATE template0")
    yield {**server15.conninfo("soak")}
    run_sql(server15.conninfo("postgres"), "DROP DATABASE soak WITH (FORCE)")


@pytest.mark.slow
def test_a_soak_misses_nothing_doubles_nothing_and_tells_each_change_once(
    tmp_path: Path, server_directory: Path, away: Database
) -> None:
    clock = Clock(tmp_path / "clock")
    clock.write()
    server = LocalServer(find_binaries(18), server_directory / "server", {"fsync": "off"})
    with small_disk(tmp_path / "disk") as disk, listening() as listener, server:
        databases: dict[str, Database] = {"home": {**server.conninfo("postgres")}, "away": away}
        for database in databases.values():
            run_sql(database, "CREATE TABLE kept AS SELECT n FROM generate_series(1, 5000) AS n")
        settings = write_settings(
            tmp_path / "settings.yaml",
            databases,
            backups={
                "directory": str(tmp_path / "backups"),
                "keep_free_mb": 1,
                "schedule": {"tiers": ["daily"], "hour": 2},
            },
            agent={
                "health_seconds": 1,
                "disks": [str(disk)],
                "drill": "never",
                "alerts": {
                    "to": [{"url": listener.url}],
                    "after_seconds": 1,
                    "thresholds": {"disk_percent": 99 if _is_full() else 90},
                },
            },
        )
        with AgentProcess(settings, clock.path) as agent, Memory(agent) as memory:
            agent.wait_for("checked", 2)
            began, cpu = time.monotonic(), agent.cpu_seconds()
            _soak(agent, server, listener, disk, clock)
            until(lambda: _waiting(agent) == 0, 90)
            cpu = (agent.cpu_seconds() - cpu) / (time.monotonic() - began)
            growth, peak = memory.growth, max(memory.samples)
            assert agent.stop() == 0
        titles = Counter(listener.titles)
        figures = {
            "seconds": round(time.monotonic() - began),
            "memory growth": f"{growth:+.1%}",
            "peak MiB": peak >> 20,
            "core": f"{cpu:.1%}",
            "titles": dict(titles),
        }
        print(json.dumps(figures, indent=1))
        (tmp_path / "figures.json").write_text(json.dumps(figures))
    for target in ("home", "away"):
        backups = Store(tmp_path / "backups").backups(target)
        assert [backup.verdict for backup in backups] == [Verdict.PASS] * 3
    for word in ("home is down", "Over: home is down"):
        assert titles.pop(word) == KILLS
    for target in ("home", "away"):
        for word in ("", "Over: "):
            assert titles.pop(f"{word}{target}: a disk is nearly full ({disk})") == 1
    assert not titles
    assert growth < 0.05


def _is_full() -> bool:
    usage = os.statvfs("/tmp")
    return usage.f_bavail / usage.f_blocks < 0.12


def _waiting(agent: AgentProcess) -> int:
    """Changes that were logged and not told yet."""
    changes = len(agent.events("raised")) + len(agent.events("cleared"))
    return changes - len(agent.events("told"))


def _soak(
    agent: AgentProcess, server: LocalServer, listener: Listener, disk: Path, clock: Clock
) -> None:
    """Ten rounds: in each the server is killed, and in some of them other things happen."""
    round_seconds = SECONDS / KILLS
    for number in range(KILLS):
        began = time.monotonic()
        kill(server)
        if number == 3:
            listener.stop()
        if number in (1, 6):
            clock.is_set(+27)
        if number == 4:
            clock.is_set(-40)
            (disk / "filler").write_bytes(bytes(31 << 20))
            until(lambda: len(agent.events("raised")) >= 7, 120)
        until(lambda n=number: len(agent.events("down")) > n)  # type: ignore[misc]
        time.sleep(max(2.5, round_seconds / 6))
        start_again(server)
        until(lambda n=number: len(agent.events("up")) > n + 2)  # type: ignore[misc]
        if number == 5:
            (disk / "filler").unlink()
        if number == 7:
            listener.start()
        if number in (2, 8):
            until(lambda: _waiting(agent) == 0, 120)
            clock.passes(24)
            agent.wait_for("backup verified", 4 if number == 2 else 6, 120)
            agent.wait_for("checked", 4 if number == 2 else 6, 120)
        time.sleep(max(2.5, began + round_seconds - time.monotonic()))
