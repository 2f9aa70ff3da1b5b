"""The Prometheus endpoint: what a running agent really serves, to whom, and what is made of it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from agents import AgentProcess, until, write_settings
from conftest import Database
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from console.agent.endpoint import Endpoint
from console.agent.policy import Metrics
from console.deploy.grafana import PANELS
from console.deploy.writers import companion
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


PROMQL_WORDS = {"absent", "by", "increase", "or", "predict_linear", "rate", "sum", "time", "up"}


def names_in(expression: str) -> set[str]:
    """Metrics that an expression asks for."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|\([a-z]+\) \(|by \([^)]*\)", " ", expression)
    return set(re.findall(r"[a-z_]{2,}", bare)) - PROMQL_WORDS


@pytest.mark.slow
def test_dashboard_and_rules_ask_for_what_is_really_served(served: str) -> None:
    there = {
        sample.name
        for family in text_string_to_metric_families(served)
        for sample in family.samples
    }
    documented = set(re.findall(r"^# TYPE (\S+) ", served, re.MULTILINE))
    queries = [query for panel in PANELS for query, _legend in panel.queries]
    rules = yaml.safe_load(companion("prometheus-rules"))["groups"][0]["rules"]
    asked = {name for query in queries for name in names_in(query)}
    assert len(asked) > 20
    # Means over a minute come after a minute; a standby's figures where there is a standby.
    later = {"medianest_statements_per_second", "medianest_statement_mean_seconds"}
    assert asked - there <= later <= documented
    asked_by_rules = {name for rule in rules for name in names_in(rule["expr"])}
    assert asked_by_rules - there - documented == set()


def test_the_dashboard_is_what_grafana_imports() -> None:
    document = json.loads(companion("grafana"))
    assert (
        document["templating"]["list"][0]["query"]["query"] == "label_values(medianest_up, target)"
    )
    places = [panel["gridPos"] for panel in document["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _y in cells) < 24
    assert len({panel["id"] for panel in document["panels"]}) == len(PANELS)


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None and "CI" not in os.environ:
        pytest.skip("promtool is not here (Debian's package prometheus)")
    assert found is not None
    return found


def test_prometheus_takes_the_configuration_and_the_rules(tmp_path: Path) -> None:
    (tmp_path / "medianest-rules.yaml").write_text(companion("prometheus-rules"))
    (tmp_path / "prometheus.yaml").write_text(companion("prometheus"))
    done = subprocess.run(
        [promtool(), "check", "config", str(tmp_path / "prometheus.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "16 rules found" in done.stdout + done.stderr


RULE_TESTS = """
rule_files: [medianest-rules.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="medianest"}', values: '1x300'}
      - {series: 'medianest_up{target="home"}', values: '1x10 0x290'}
      - {series: 'medianest_up{target="away"}', values: '1x300'}
      - {series: 'medianest_connections{target="home"}', values: '50x10 90x290'}
      - {series: 'medianest_connections_limit{target="home"}', values: '100x300'}
      - {series: 'medianest_backup_age_seconds{target="home"}', values: '200000x300'}
      - {series: 'medianest_backup_age_seconds{target="away"}', values: '200x300'}
    alert_rule_test:
      - eval_time: 5m
        alertname: PostgreSQLDown
        exp_alerts: []
      - eval_time: 20m
        alertname: PostgreSQLDown
        exp_alerts:
          - exp_labels: {severity: failure, target: home}
            exp_annotations: {summary: home is down.}
      - eval_time: 20m
        alertname: PostgreSQLConnections
        exp_alerts:
          - exp_labels: {severity: warning, target: home}
            exp_annotations: {summary: home uses 90% of its connections.}
      - eval_time: 90m
        alertname: BackupOverdue
        exp_alerts:
          - exp_labels: {severity: failure, target: home}
            exp_annotations: {summary: home has no verified backup of the last 36 hours.}
"""


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "medianest-rules.yaml").write_text(companion("prometheus-rules"))
    (tmp_path / "tests.yaml").write_text(RULE_TESTS)
    done = subprocess.run(
        [promtool(), "test", "rules", str(tmp_path / "tests.yaml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
