"""medianest-console restore, as a person or a script runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Database, run_sql
from restores import Restoring

from console.errors import ExitCode


@pytest.fixture
async def media(medianest_db: Database, tmp_path: Path) -> Restoring:
    """Backed up where the settings say, and then emptied of users."""
    media = Restoring(medianest_db, tmp_path / "backups")
    await media.backup()
    run_sql(medianest_db, "TRUNCATE public.users CASCADE")
    return media


def run(media: Restoring, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    given = media.database
    settings = media.root / "settings.yaml"
    settings.write_text(
        "target: home\n"
        "targets:\n  home:\n"
        f"    url: postgresql://{given['user']}@/{given['dbname']}"
        f"?host={given['host']}&port={given['port']}\n"
        f"backups:\n  directory: {media.root}\n  keep_free_mb: 0\n"
    )
    environment = {**os.environ, "PGPASSFILE": given["passfile"]}
    return subprocess.run(
        [sys.executable, "-m", "console", "restore", "--settings", str(settings), *words],
        capture_output=True,
        text=True,
        input=typed,
        env=environment,
        timeout=60,
    )


@pytest.mark.slow
def test_a_script_restores_undoes_and_finishes(media: Restoring) -> None:
    done = run(media, "latest", "--yes", "--confirm", media.name, "--no-safety-backup")
    assert done.returncode == ExitCode.OK, done.stderr
    assert "downtime (the cut-over alone)" in done.stdout
    assert media.ask("SELECT count(*) FROM public.users") > 0
    shown = json.loads(run(media, "status", "--json").stdout)
    assert shown["phase"] == "done"
    assert shown["actions"] == ["undo", "finish"]
    undone = run(media, "undo", "--confirm", media.name)
    assert undone.returncode == ExitCode.OK, undone.stderr
    assert media.ask("SELECT count(*) FROM public.users") == 0
    kept = json.loads(run(media, "status", "--json").stdout)["kept"]
    assert run(media, "finish", "--confirm", kept).returncode == ExitCode.OK
    assert media.databases() == {media.name}


@pytest.mark.slow
def test_without_the_name_nothing_is_begun(media: Restoring) -> None:
    planned = run(media, "--plan")
    assert planned.returncode == ExitCode.OK, planned.stderr
    assert "Expected time" in planned.stdout
    for words in (["--yes"], ["--yes", "--confirm", "another"], [], ["nonsense", "--yes"]):
        refused = run(media, *words)
        assert refused.returncode == ExitCode.UNKNOWN
        assert "Traceback" not in refused.stderr
    read_only = run(media, "--read-only", "--yes", "--confirm", media.name)
    assert "--read-only" in read_only.stderr
    assert run(media, "status").returncode == ExitCode.UNKNOWN, "no restore was begun"
    assert media.databases() == {media.name}
