"""`health`: what a container asks every few seconds, and what it must not import for that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from agents import AgentProcess, write_settings
from conftest import Database
from psycopg.conninfo import make_conninfo

from console.cli import main
from console.local_server import LocalServer

HEAVY = ("yaml", "textual", "sqlglot", "console.settings", "console.session")


def health(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, str]]:
    code = main(["health", "--json", *arguments])
    answer: dict[str, str] = json.loads(capsys.readouterr().out)
    return code, answer


def test_a_server_that_answers_is_well(
    empty_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    for how in (["--quick"], []):
        code, answer = health(capsys, *how, "--dsn", make_conninfo(**empty_db))
        assert (code, answer["verdict"]) == (0, "ok")


def test_a_server_that_does_not_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    dsn = "host=127.0.0.1 port=1 dbname=d user=u password=S3cret"
    for how in (["--quick"], []):
        code, answer = health(capsys, *how, "--dsn", dsn)
        assert (code, answer["verdict"]) == (2, "down")
        assert "127.0.0.1:1" in answer["message"]
        assert "S3cret" not in answer["message"]


def test_a_wrong_password_is_not_well(
    medianest_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = make_conninfo(**{**medianest_db, "password": "wrong"})
    assert health(capsys, "--quick", "--dsn", dsn)[0] == 2


def test_without_a_host_the_network_is_tried_and_not_the_socket(
    server_directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql:///d?port=1&user=u")
    code, answer = health(capsys, "--quick")
    assert code == 2
    assert "127.0.0.1:1" in answer["message"]


def test_the_network_is_answered_where_it_is_listened_to(
    server18: LocalServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = server18.conninfo("postgres", tcp=True)
    del parts["host"]
    for name, value in parts.items():
        monkeypatch.setenv({"dbname": "PGDATABASE"}.get(name, f"PG{name.upper()}"), value)
    assert health(capsys, "--quick")[0] == 0


def test_nothing_heavy_is_imported_for_a_quick_answer(empty_db: Database) -> None:
    code = (
        "import sys; from console.cli import main; code = main(['health', '--quick']);"
        f" print([name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    environment = {**os.environ, "DATABASE_URL": make_conninfo(**empty_db)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_mistake_in_the_settings_is_neither_well_nor_down(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("nonsense: 1\n")
    assert main(["health", "--quick", "--settings", str(path)]) == 3


@pytest.mark.slow
def test_an_agent_is_well_while_it_looks(
    medianest_db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health(capsys, "--agent")[0] == 2
    nothing = {"health_seconds": 1, "backups": False, "checks_hour": None, "drill": "never"}
    settings = write_settings(tmp_path / "settings.yaml", {"home": medianest_db}, agent=nothing)
    with AgentProcess(settings) as agent:
        agent.wait_for("up")
        code, answer = health(capsys, "--agent")
        assert (code, answer["verdict"]) == (0, "ok")
        agent.process.kill()
        agent.process.wait()
    code, answer = health(capsys, "--agent")
    assert (code, answer["message"]) == (2, "No agent runs.")
