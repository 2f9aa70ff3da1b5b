"""What `deploy` writes for the agent holds what it promises."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from console.cli import main
from console.deploy.audit import audit
from console.deploy.writers import companion, deployment
from console.findings import Severity

WRITABLE = {"/state", "/backups", "/tmp"}


def test_the_compose_file_passes_the_audit_beside_a_databases(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(deployment("hardened"))
    (tmp_path / "agent.yaml").write_text(companion("agent"))
    (tmp_path / "database_password.txt").write_text("x")
    done = audit([tmp_path / "compose.yaml", tmp_path / "agent.yaml"], variables={})
    assert done.verdict in (Severity.OK, Severity.INFO), done


def test_the_agents_container_is_confined() -> None:
    (service,) = yaml.safe_load(companion("agent"))["services"].values()
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service
    mounted = [mount.split(":") for mount in service["volumes"]]
    assert {parts[1] for parts in mounted if parts[-1] != "ro"} | {"/tmp"} == WRITABLE


def test_the_image_runs_as_nobody_and_begins_the_agent() -> None:
    text = companion("agent-image")
    assert text.rindex("USER 10001:10001") > text.rindex("RUN ")
    assert "@" not in re.sub(r"\[agent\]==\S+", "", text)
    assert 'CMD ["agent", "--settings"' in text


def test_the_unit_is_confined(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / "medianest-agent.service"
    unit.write_text(companion("agent-unit"))
    done = subprocess.run(
        [tool, "security", "--offline=true", str(unit)], capture_output=True, text=True, check=False
    )
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+) OK", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= 1.5


@pytest.mark.parametrize(
    "kind", ["agent", "agent-image", "agent-unit", "prometheus", "prometheus-rules", "grafana"]
)
def test_each_is_written_to_a_new_file(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    assert main(["deploy", kind, "-o", str(path)]) == 0
    assert main(["deploy", kind]) == 0
    assert capsys.readouterr().out == path.read_text() == companion(kind)
    assert main(["deploy", kind, "-o", str(path)]) == 3
