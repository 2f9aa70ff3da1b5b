"""The Prometheus endpoint: what a running agent really serves, to whom, and what is made of it."""

from __future__ import annotations

import base64
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents import AgentProcess, until, write_settings
from conftest import Database
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from console.agent.endpoint import Endpoint
from console.agent.policy import Metrics
from console.errors import CommandFailed, SettingsError


def get(port: int, path: str = "/metrics", authorization: str = "") -> tuple[int, str]:
    headers = {"Authorization": authorization} if authorization else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Gauge("answer", "All of it", registry=made).set(42)
    return made


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("opën sesame\n")
    return path


def test_metrics_are_served_and_nothing_else(registry: CollectorRegistry) -> None:
    endpoint = open_endpoint(registry)
    try:
        assert get(endpoint.port) == (
            200,
            "# HELP answer All of it\n# TYPE answer gauge\nanswer 42.0\n",
        )
        assert get(endpoint.port, "/metrics?name=x")[0] == 200
        assert get(endpoint.port, "/")[0] == 404
        assert get(endpoint.port, "/etc/passwd")[0] == 404
    finally:
        endpoint.close()


def open_endpoint(registry: CollectorRegistry, **more: object) -> Endpoint:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Endpoint(Metrics(f"127.0.0.1:{port}", **more), registry)  # type: ignore[arg-type]


def test_a_password_or_a_token_is_asked_for(registry: CollectorRegistry, secret: Path) -> None:
    endpoint = open_endpoint(registry, password_file=secret, token_file=secret)
    pair = base64.b64encode("prometheus:opën sesame".encode()).decode()
    wrong = base64.b64encode(b"prometheus:open sesame").decode()
    try:
        assert get(endpoint.port)[0] == 401
        assert get(endpoint.port, authorization=f"Basic {wrong}")[0] == 401
        assert get(endpoint.port, authorization="Bearer guess")[0] == 401
        assert get(endpoint.port, "/", authorization="Bearer guess")[0] == 401
        assert get(endpoint.port, authorization=f"Basic {pair}")[0] == 200
    finally:
        endpoint.close()


def test_a_token_alone_is_enough(registry: CollectorRegistry, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token")
    endpoint = open_endpoint(registry, token_file=token)
    try:
        assert get(endpoint.port, authorization="Bearer a-token")[0] == 200
        assert get(endpoint.port, authorization="Basic YTpi")[0] == 401
    finally:
        endpoint.close()


def test_an_address_in_use_and_a_secret_that_is_not_there_are_told(
    registry: CollectorRegistry, tmp_path: Path
) -> None:
    endpoint = open_endpoint(registry)
    try:
        with pytest.raises(CommandFailed, match="in use"):
            Endpoint(Metrics(f"127.0.0.1:{endpoint.port}"), registry)
    finally:
        endpoint.close()
    with pytest.raises(SettingsError, match="cannot be read"):
        open_endpoint(registry, token_file=tmp_path / "none")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SettingsError, match="holds no secret"):
        open_endpoint(registry, token_file=tmp_path / "empty")


@pytest.fixture
def served(medianest_db: Database, tmp_path: Path) -> Iterator[str]:
    """What a running agent serves after its first backup, drill and check."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = write_settings(
        tmp_path / "settings.yaml",
        {"home": medianest_db},
        backups={"directory": str(tmp_path / "backups"), "keep_free_mb": 1},
        agent={"health_seconds": 1, "metrics": {"listen": f"127.0.0.1:{port}"}},
    )
    with AgentProcess(settings) as agent:
        agent.wait_for("drilled", seconds=120)
        agent.wait_for("checked", seconds=120)
        until(lambda: 'medianest_backup_drilled{target="home"} 1.0' in get(port)[1])
        yield get(port)[1]
        assert agent.stop() == 0


@pytest.mark.slow
def test_a_running_agent_serves_what_it_saw(served: str) -> None:
    values = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(served)
        for sample in family.samples
    }
    home = ("target", "home")
    assert values["medianest_up", home] == 1
    assert values["medianest_connections", home] >= 1
    assert values["medianest_transactions_total", home] > 0
    assert values["medianest_database_bytes", home] > 1e6
    assert values["medianest_backup_verified", home] == 1
    assert 0 <= values["medianest_backup_age_seconds", home] < 300
    assert values["medianest_backup_bytes", home] > 0
    assert values["medianest_backup_restore_seconds", home] > 0
    assert values["medianest_checks", ("severity", "ok"), home] > 20
    assert any(name == "medianest_disk_free_bytes" for name, *_ in values)
