"""The agent as a process on real servers: it begins, works, is told to reload and to stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agents import (
    AgentProcess,
    Listener,
    agent_history,
    listening,
    small_disk,
    until,
    write_settings,
)
from conftest import Database, run_sql

from console.agent.presence import read_presence
from console.backup.manifest import Verdict
from console.backup.store import Store
from console.local_server import LocalServer, find_binaries
from console.settings import state_directory

QUICK: dict[str, Any] = {"health_seconds": 1, "checks_hour": None, "drill": "never"}
NOTHING: dict[str, Any] = {**QUICK, "backups": False}


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def alerts(listener: Listener, **more: Any) -> dict[str, Any]:
    return {"to": [{"url": listener.url}], "after_seconds": 1, **more}


def test_a_backup_is_made_proven_and_written_down(
    medianest_db: Database, tmp_path: Path, listener: Listener
) -> None:
    settings = write_settings(
        tmp_path / "settings.yaml",
        {"home": medianest_db},
        backups={"directory": str(tmp_path / "backups"), "keep_free_mb": 1},
        agent={**QUICK, "alerts": alerts(listener)},
    )
    with AgentProcess(settings) as agent:
        agent.wait_for("backup verified")
        presence = read_presence(state_directory())
        assert presence is not None
        assert presence.running
        assert agent.stop() == 0
    (backup,) = Store(tmp_path / "backups").backups("home")
    assert backup.verdict is Verdict.PASS
    assert agent.lines()[0]["event"] == "started"
    assert agent.lines()[-1]["event"] == "stopped"
    now = datetime.now(UTC)
    figures = agent_history().points("home", "connections", now - timedelta(hours=1), now)
    assert figures
    assert figures[-1].mean >= 1
    presence = read_presence(state_directory())
    assert presence is not None
    assert not presence.running
    with AgentProcess(settings) as again:
        again.wait_for("up")
        until(
            lambda: bool((p := read_presence(state_directory())) and p.targets["home"].work == "")
        )
        assert again.stop() == 0
    assert len(Store(tmp_path / "backups").backups("home")) == 1
    assert listener.titles == []


@pytest.mark.slow
def test_only_one_agent_runs_in_a_state_directory(medianest_db: Database, tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "settings.yaml", {"home": medianest_db}, agent=NOTHING)
    with AgentProcess(settings) as agent:
        agent.wait_for("up")
        second = subprocess.run(
            [sys.executable, "-m", "console", "agent", "--settings", str(settings)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 3
        assert f"pid {agent.process.pid}" in second.stderr
        assert agent.stop() == 0


@pytest.mark.slow
def test_it_begins_while_the_server_is_down_and_tells_when_that_is_over(
    tmp_path: Path, server_directory: Path, listener: Listener
) -> None:
    server = LocalServer(find_binaries(18), server_directory / "server", {"fsync": "off"})
    with server:
        database = server.conninfo("postgres")
    settings = write_settings(
        tmp_path / "settings.yaml",
        {"home": database},
        agent={**NOTHING, "alerts": alerts(listener)},
    )
    with AgentProcess(settings) as agent:
        until(lambda: listener.titles == ["home is down"])
        agent.process.kill()
        agent.process.wait()
    with AgentProcess(settings) as agent, server:
        until(lambda: len(listener.titles) == 2)
        assert agent.stop() == 0
    assert listener.titles == ["home is down", "Over: home is down"]
    assert listener.received[0]["type"] == "failure"
    assert listener.received[1]["type"] == "success"


@pytest.mark.slow
def test_settings_are_read_again_and_a_mistake_leaves_the_old_ones(
    medianest_db: Database, empty_db: Database, tmp_path: Path
) -> None:
    path = tmp_path / "settings.yaml"
    good = write_settings(path, {"home": medianest_db}, agent=NOTHING).read_text()
    with AgentProcess(path) as agent:
        agent.wait_for("up")
        path.write_text("agent: {health_seconds: often}\n")
        agent.process.send_signal(signal.SIGHUP)
        line = agent.wait_for("not reloaded")
        assert "settings.yaml:1" in line["message"]
        write_settings(path, {"home": medianest_db, "away": empty_db}, agent=NOTHING)
        agent.process.send_signal(signal.SIGHUP)
        assert agent.wait_for("reloaded")["targets"] == ["away", "home"]
        agent.wait_for("up", 2)
        path.write_text(good)
        agent.process.send_signal(signal.SIGHUP)
        assert agent.wait_for("reloaded", 2)["targets"] == ["home"]
        assert agent.stop() == 0


@pytest.mark.slow
def test_a_backup_under_way_is_undone_when_it_is_stopped(
    medianest_db: Database, tmp_path: Path
) -> None:
    run_sql(
        medianest_db,
        "CREATE TABLE large AS SELECT n, repeat(md5(n::text), 60) AS text"
        " FROM generate_series(1, 60000) AS n",
    )
    settings = write_settings(
        tmp_path / "settings.yaml",
        {"home": medianest_db},
        backups={"directory": str(tmp_path / "backups"), "keep_free_mb": 1},
        agent=QUICK,
    )
    with AgentProcess(settings) as agent:
        agent.wait_for("begun")
        directory = tmp_path / "backups" / "home"
        until(lambda: any(path.name.endswith(".partial") for path in directory.glob(".*")))
        assert agent.stop() == 0
        assert not agent.events("backup made")
    assert Store(tmp_path / "backups").backups("home") == ()
    assert not [path for path in directory.iterdir() if path.is_dir()]


@pytest.mark.slow
def test_systemd_is_told_of_every_turn(medianest_db: Database, tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "settings.yaml", {"home": medianest_db}, agent=NOTHING)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        place = tmp_path / "n"
        systemd.bind(str(place))
        systemd.settimeout(30)
        environment = {"NOTIFY_SOCKET": str(place), "WATCHDOG_USEC": "1000000"}
        with AgentProcess(settings, environment=environment) as agent:
            heard: list[str] = []

            def hear_until(word: str) -> str:
                while not any(word in text for text in heard):
                    heard.append(systemd.recv(4096).decode())
                return heard[-1]

            assert "STATUS=Watching home." in hear_until("READY=1")
            hear_until("WATCHDOG=1")
            agent.process.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in hear_until("RELOADING=1")
            heard.clear()
            hear_until("READY=1")
            agent.process.send_signal(signal.SIGTERM)
            hear_until("STOPPING=1")
            assert agent.process.wait(30) == 0


@pytest.mark.slow
def test_a_password_is_in_no_line_and_no_file_of_the_agent(
    tmp_path: Path, server_directory: Path, listener: Listener
) -> None:
    database = {
        "host": "127.0.0.1",
        "port": "1",
        "user": "u",
        "password": "S3cr3t-word",
        "dbname": "d",
    }
    url = listener.url.replace("://", "://person:T0ken-word@")
    settings = write_settings(
        tmp_path / "settings.yaml",
        {"home": database},
        agent={**NOTHING, "alerts": {"to": [{"url": url}], "after_seconds": 0}},
    )
    with AgentProcess(settings) as agent:
        agent.wait_for("told")
        assert agent.stop() == 0
    kept = [path for path in state_directory().rglob("*") if path.is_file()]
    assert kept
    for path in [agent.log_path, *kept]:
        assert b"S3cr3t-word" not in path.read_bytes(), path
        assert b"T0ken-word" not in path.read_bytes(), path


@pytest.mark.slow
def test_a_test_message_says_who_took_it(tmp_path: Path, listener: Listener) -> None:
    database = {"host": "127.0.0.1", "port": "1", "user": "u", "dbname": "d"}
    settings = write_settings(
        tmp_path / "settings.yaml",
        {"home": database},
        agent={"alerts": {"to": [{"url": listener.url}, {"url": "json://127.0.0.1:9/"}]}},
    )
    command = [sys.executable, "-m", "console", "agent", "test-alert", "--settings", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 2
    assert [line.rpartition(": ")[2] for line in done.stdout.splitlines()] == [
        "delivered",
        "NOT delivered",
    ]
    assert listener.titles == ["A test from MediaNest Console"]
    assert json.dumps(listener.received).count("can reach you") == 1


@pytest.mark.slow
def test_a_full_disk_under_its_history_does_not_end_it(
    medianest_db: Database, tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        monkeypatch.setenv("XDG_STATE_HOME", str(disk))
        settings = write_settings(
            tmp_path / "settings.yaml",
            {"home": medianest_db},
            agent={**NOTHING, "disks": [str(disk)], "alerts": alerts(listener)},
        )
        with AgentProcess(settings) as agent:
            agent.wait_for("up")
            (disk / "filler").write_bytes(b"")
            with contextlib.suppress(OSError), (disk / "filler").open("wb") as filler:
                while True:
                    filler.write(bytes(4096))
                    filler.flush()
            agent.wait_for("not written down")
            until(lambda: f"home: a disk is nearly full ({disk})" in listener.titles)
            (disk / "filler").unlink()
            until(lambda: f"Over: home: a disk is nearly full ({disk})" in listener.titles)
            assert agent.stop() == 0
        assert len(listener.titles) == 2
