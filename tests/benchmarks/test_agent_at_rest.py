"""The agent with two targets and its usual settings, when there is nothing to do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from agents import AgentProcess, until, write_settings
from conftest import Database, run_sql

from console.local_server import LocalServer

SECONDS = 90


@pytest.mark.benchmark
def test_at_rest_it_takes_less_than_a_hundredth_of_a_core_and_100_mib(
    tmp_path: Path, server18: LocalServer, server15: LocalServer
) -> None:
    databases: dict[str, Database] = {
        "home": {**server18.conninfo("postgres")},
        "away": {**server15.conninfo("postgres")},
    }
    for database in databases.values():
        run_sql(database, "CREATE TABLE IF NOT EXISTS kept AS SELECT generate_series(1, 100) AS n")
    settings = write_settings(
        tmp_path / "settings.yaml",
        databases,
        backups={"directory": str(tmp_path / "backups"), "keep_free_mb": 1},
        agent={"metrics": {"listen": "127.0.0.1:19646"}},
    )
    with AgentProcess(settings) as agent:
        # By then it has backed up, drilled and checked both, and imported all it ever does.
        until(lambda: len(agent.events("drilled")) + len(agent.events("checked")) == 4, 300)
        time.sleep(20)
        before, began = agent.cpu_seconds(), time.monotonic()
        time.sleep(SECONDS)
        core = (agent.cpu_seconds() - before) / (time.monotonic() - began)
        mebibytes = agent.rss_bytes() / 2**20
        print(f"\nat rest: {core:.2%} of a core, {mebibytes:.0f} MiB")
        assert agent.stop() == 0
    assert core < 0.01
    assert mebibytes < 100
