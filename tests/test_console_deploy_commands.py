"""deploy on the command line, the units of systemd, and that what is written passes its audit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import server_major
from deployments import SOUND, TODAY
from psycopg.conninfo import make_conninfo

from console.cli import main
from console.deploy import systemd
from console.deploy.audit import audit, parse_server
from console.deploy.model import Server
from console.deploy.writers import TEMPLATES, deployment
from console.errors import ActionRefused, ExitCode
from console.findings import Severity

Database = dict[str, Any]
SUFFIX = {"systemd": ".service"}
UNIT = deployment("systemd", Server(17, 5))


def written(directory: Path, kind: str, server: Server | None) -> Path:
    path = directory / f"postgresql{SUFFIX.get(kind, '.yaml')}"
    path.write_text(deployment(kind, server), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", TEMPLATES)
@pytest.mark.parametrize(
    "server", [None, Server(14, 2, "Debian"), Server(17, 5, "Alpine"), Server(18, 0, "Debian")]
)
def test_what_is_written_passes_its_own_audit(
    tmp_path: Path, kind: str, server: Server | None
) -> None:
    done = audit([written(tmp_path, kind, server)], variables={}, server=server, today=TODAY)
    assert done.verdict in (Severity.OK, Severity.INFO), done.findings
    assert done.databases


def test_a_major_without_an_image_is_refused() -> None:
    with pytest.raises(ActionRefused, match="No image of PostgreSQL 99"):
        deployment("compose", Server(99))


@pytest.mark.parametrize("kind", ["compose", "hardened"])
def test_docker_accepts_what_is_written(tmp_path: Path, kind: str) -> None:
    docker = shutil.which("docker")
    probe = [docker or "docker", "compose", "version"]
    if docker is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    path = written(tmp_path, kind, None)
    (tmp_path / "database_password.txt").write_text("x", encoding="utf-8")
    command = [docker, "compose", "-f", str(path), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "postgresql.service"
    # The server itself need not be on this machine.
    path.write_text(UNIT.replace("/usr/lib/postgresql/17/bin/postgres", "/bin/true"))
    done = subprocess.run([analyze, "verify", path], capture_output=True, text=True, check=False)
    assert str(path) not in done.stderr
    assert done.returncode == 0, done.stderr


def judged(text: str) -> list[tuple[str, Severity, int]]:
    found = systemd.judge(systemd.read_unit(text, "a/b.service"))
    return [(rule.id, flaw.severity, flaw.place.line) for rule, flaw in found]


# What stands in the unit and what it is replaced by; the rule it breaks is named after the setting.
UNIT_BROKEN = {
    "ExecStart": ("bin/postgres -D", "bin/postgres --password=canary -D"),
    "User": ("User=postgres\n", "User=root\n"),
    "NoNewPrivileges": ("NoNewPrivileges=yes", "NoNewPrivileges=no"),
    "CapabilityBoundingSet": ("CapabilityBoundingSet=\n", "CapabilityBoundingSet=CAP_CHOWN\n"),
    "ProtectSystem": ("ProtectSystem=strict", "ProtectSystem=full"),
    "PrivateTmp": ("PrivateTmp=yes", "PrivateTmp=no"),
    "MemoryMax": ("MemoryMax=2G", "MemoryMax=infinity"),
    "CPUQuota": ("CPUQuota=200%\n", ""),
    "TasksMax": ("TasksMax=512\n", ""),
    "Restart": ("Restart=on-failure", "Restart=no"),
    "TimeoutStopSec": ("TimeoutStopSec=120", "TimeoutStopSec=10"),
    "KillSignal": ("KillSignal=SIGINT\n", ""),
    "KillMode": ("KillMode=mixed", "KillMode=control-group"),
    "OOMScoreAdjust": ("OOMScoreAdjust=-900", "OOMScoreAdjust=0"),
}


@pytest.mark.parametrize("rule", systemd.RULES, ids=lambda rule: rule.setting)
def test_each_rule_for_units_fires_on_its_setting_alone(rule: systemd.UnitRule) -> None:
    old, new = UNIT_BROKEN[rule.setting]
    assert old in UNIT
    ((found, severity, line),) = judged(UNIT.replace(old, new, 1))
    assert (found, severity) == (rule.id, rule.severity)
    assert 1 <= line <= UNIT.count("\n")
    mended = UNIT.replace(old, "", 1).replace("[Service]\n", f"[Service]\n{rule.better}\n", 1)
    if rule.setting != "ExecStart":
        assert judged(mended) == []


def test_a_password_in_a_units_environment_is_told() -> None:
    text = UNIT.replace("[Service]\n", "[Service]\nEnvironment=A=b PGPASSWORD=canary\n", 1)
    assert [found for found, _, _ in judged(text)] == ["deploy.unit-password"]


def test_a_time_that_cannot_be_read_is_unknown() -> None:
    found = judged(UNIT.replace("TimeoutStopSec=120", "TimeoutStopSec=soon"))
    assert [severity for _, severity, _ in found] == [Severity.UNKNOWN]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("17", Server(17)),
        ("17.6", Server(17, 6)),
        (
            "PostgreSQL 17.6 (Debian 17.6-1.pgdg12+1) on x86_64-pc-linux-gnu",
            Server(17, 6, "Debian"),
        ),
        (
            "PostgreSQL 16.1 on x86_64-pc-linux-musl, compiled by gcc (Alpine 13)",
            Server(16, 1, "Alpine"),
        ),
        ("PostgreSQL 18beta1 on aarch64", Server(18)),
    ],
)
def test_a_servers_version_is_read_as_written(text: str, server: Server) -> None:
    assert parse_server(text) == server


def test_the_image_is_compared_with_the_running_server(
    empty_db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    major = server_major(empty_db)
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    same.write_text(SOUND.replace("17.99", f"{major}.99"))
    other.write_text(SOUND.replace("17.99", "14.99"))
    reports = []
    for path in (same, other):
        main(["deploy", "audit", str(path), "--dsn", make_conninfo(**empty_db), "--format", "json"])
        reports.append(json.loads(capsys.readouterr().out))
    assert [report["server_major"] for report in reports] == [major, major]
    told = [{f["check"]: f["severity"] for f in report["findings"]} for report in reports]
    assert "deploy.image-major" not in told[0]
    assert told[1]["deploy.image-major"] == "failure"


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_a_failure_is_the_exit_code_and_stands_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text("services:\n  db:\n    image: postgres:latest\n    privileged: true\n")
    assert main(["deploy", "audit", str(path), "--format", form]) == ExitCode.FAILURES
    shown = capsys.readouterr().out
    assert "NOT SAFE" in shown
    if form == "json":
        places = {f["check"]: (f["file"], f["line"]) for f in json.loads(shown)["findings"]}
        assert places["deploy.image-pinned"] == (str(path), 3)
    else:
        assert "compose.yaml:4 db" in shown.replace("\\", "")


def test_a_deployment_is_written_once_and_never_over_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "compose.yaml"
    command = ["deploy", "hardened", "--server-version", "17.6", "-o", str(path)]
    assert main(command) == ExitCode.OK
    assert "image: postgres:17." in path.read_text()
    assert main(command) == ExitCode.UNKNOWN
    assert "is there already" in capsys.readouterr().err
    assert main(["deploy", "audit", str(path), "--server-version", "17.6"]) == ExitCode.OK


@pytest.mark.parametrize("name", ["no-such.yaml", "."])
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["deploy", "audit", str(tmp_path / name)]) == ExitCode.UNKNOWN
    assert "there is no such file" in capsys.readouterr().err
