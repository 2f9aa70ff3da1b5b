"""Make docs/readiness-report.md: the demo's full report, after a backup, a drill and a load test.

python docs/make_report.py
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

from console.backup.job import Job, carry_out
from console.backup.manifest import Tier
from console.backup.policy import BackupSettings
from console.demo import DemoOptions, demo
from console.deploy.audit import parse_server
from console.deploy.writers import deployment
from console.loadtest.measure import LoadOptions, measure
from console.loadtest.result import keep, path_of
from console.reporting.formats import FORMATS
from console.reporting.gather import Sources, gather
from console.reporting.sections import compose
from console.settings import Settings
from console.target import Target

HERE = Path(__file__).parent
ROOT = Path("/tmp/medianest-demo")
BUSY_SECONDS = 30.0


async def report_on(target: Target) -> str:
    settings = Settings(backups=BackupSettings(directory=ROOT / "backups"))
    await carry_out(Job("create", Tier.DAILY), target, settings, lambda _progress: None)
    await carry_out(Job("drill"), target, settings, lambda _progress: None)
    load = await measure(target, settings, LoadOptions(seconds=10))
    keep(load, path_of(target.label))
    compose_file = ROOT / "compose.yaml"
    compose_file.write_text(deployment("hardened", parse_server("18.6")), encoding="utf-8")
    sources = Sources(deployment=(compose_file,))
    return FORMATS["markdown"](compose(await gather(target, settings, sources)))


def main() -> None:
    ROOT.mkdir(mode=0o755)
    try:
        with tempfile.TemporaryDirectory() as state:
            os.environ["XDG_STATE_HOME"] = state
            with demo(DemoOptions(directory=ROOT / "server")) as running:
                time.sleep(BUSY_SECONDS)
                target = Target("demo", running.conninfo, profile="medianest")
                content = asyncio.run(report_on(target))
        (HERE / "readiness-report.md").write_text(content, encoding="utf-8")
    finally:
        shutil.rmtree(ROOT)


if __name__ == "__main__":
    main()
