"""Off-site copies as an operator has them: the command line, an empty machine, and kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import run_sql
from fingerprints import differences, fingerprint
from stores import SECRET, files_below, identity, store_of

from console.backup.manifest import Verdict
from console.backup.store import Store
from console.local_server import LocalServer, find_binaries
from console.offsite import copies
from console.offsite.place import Place
from console.offsite.policy import StoreSettings
from console.target import Target

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def settings_file(
    path: Path, target: Target, store: StoreSettings, backups: Path, *, with_identity: bool
) -> Path:
    """What an operator would have written."""
    conninfo = " ".join(f"{key}={value}" for key, value in target.parameters.items())
    lines = [
        "target: home",
        f"targets: {{home: {{url: '{conninfo}', profile: medianest}}}}",
        f"backups: {{directory: {backups}, keep_free_mb: 0}}",
        "offsite:",
        "  vault:",
        f"    url: {store.url}",
    ]
    optional = {
        "endpoint": store.endpoint,
        "region": store.region,
        "credentials_file": store.credentials_file,
        "recipients": list(store.recipients) or None,
        "identity_file": store.identity_file if with_identity else None,
    }
    lines += [f"    {key}: {value}" for key, value in optional.items() if value is not None]
    path.write_text("\n".join(lines) + "\n")
    return path


def begun(settings: Path, *arguments: str, home: Path) -> subprocess.Popen[str]:
    home.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
    return subprocess.Popen(
        [sys.executable, "-m", "console", "--settings", str(settings), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def console(settings: Path, *arguments: str, home: Path) -> str:
    """What it said; it must have ended well."""
    process = begun(settings, *arguments, home=home)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, (output, errors)
    assert SECRET not in output + errors
    return output + errors


def test_a_sealed_copy_is_restored_where_only_settings_identity_and_bucket_are(
    medianest18: Target, tmp_path: Path, server_directory: Path
) -> None:
    key = tmp_path / "identity"
    with store_of("s3", tmp_path, recipients=(identity(key),), identity_file=key) as store:
        here = settings_file(
            tmp_path / "here.yaml", medianest18, store, tmp_path / "backups", with_identity=False
        )
        made = console(here, "backup", "create", "--tier", "daily", home=tmp_path / "home1")
        assert "copy         vault: whole" in made
        before = fingerprint(medianest18.parameters)

        with LocalServer(find_binaries(18), server_directory / "new", {"fsync": "off"}) as server:
            lost = Target("home", server.conninfo("medianest_home"))
            there = settings_file(
                tmp_path / "there.yaml", lost, store, tmp_path / "empty", with_identity=True
            )
            listed = console(there, "backup", "list", "--from", "vault", home=tmp_path / "home2")
            assert "daily" in listed
            name = lost.dbname
            console(
                there, "restore", "latest", "--from", "vault", "--yes", "--confirm", name,
                home=tmp_path / "home2",
            )  # fmt: skip
            assert differences(before, fingerprint(lost.parameters)) == []
            drilled = console(
                there, "backup", "drill", "latest", "--from", "vault", home=tmp_path / "home2"
            )
            assert "drill        pass" in drilled


def test_killed_anywhere_nothing_half_is_published_and_the_next_run_ends_it(
    medianest18: Target, tmp_path: Path
) -> None:
    run_sql(
        medianest18.parameters,
        "CREATE TABLE ballast AS SELECT g, md5(g::text) || md5((g + 1)::text) AS noise"
        " FROM generate_series(1, 300000) AS g",
    )
    key = tmp_path / "identity"
    home = tmp_path / "home1"
    with store_of("file", tmp_path, recipients=(identity(key),), identity_file=key) as store:
        settings = settings_file(
            tmp_path / "s.yaml", medianest18, store, tmp_path / "backups", with_identity=True
        )
        alone = tmp_path / "alone.yaml"
        alone.write_text(settings.read_text().partition("offsite:")[0])
        console(alone, "backup", "create", "--tier", "daily", home=home)
        for bytes_there in (1, 100_000, 1_000_000, 4_000_000, 8_000_000):
            process = begun(settings, "backup", "push", home=home)
            while process.poll() is None and _size(tmp_path / "remote") < bytes_there:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            for copy in copies.copies(Place("vault", store), "home"):
                assert copy.manifest is not None
                assert copy.backup.verdict is Verdict.PASS
                console(settings, "backup", "verify", copy.id, "--from", "vault", home=home)
                copies.remove(Place("vault", store), "home", copy.id)
        assert "vault: copied" in console(settings, "backup", "push", home=home)
        assert "pass" in console(settings, "backup", "verify", "--from", "vault", home=home)
        (backup,) = Store(tmp_path / "backups").backups("home")
        stored = {Path(name).name for name in files_below(tmp_path / "remote")}
        assert backup.manifest is not None
        expected = {Path(file.name).name + ".age" for file in backup.manifest.files}
        assert stored == expected | {"copy.json", "manifest.json", "record.json"}


def _size(root: Path) -> int:
    total = 0
    for path in root.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def test_no_secret_is_seen_while_it_copies_or_after(medianest18: Target, tmp_path: Path) -> None:
    key = tmp_path / "identity"
    secrets = {SECRET}
    seen: list[bytes] = []
    with store_of("s3", tmp_path, recipients=(identity(key),), identity_file=key) as store:
        secrets.add(key.read_text().splitlines()[1])
        settings = settings_file(
            tmp_path / "s.yaml", medianest18, store, tmp_path / "backups", with_identity=True
        )
        process = begun(settings, "backup", "create", home=tmp_path / "home1")
        while process.poll() is None:
            seen += _command_lines()
            time.sleep(0.02)
        output, errors = process.communicate()
        seen += [output.encode(), errors.encode()]
        console(settings, "backup", "fetch", "latest", "--from", "vault", home=tmp_path / "home1")
    for root in (tmp_path / "backups", tmp_path / "home1"):
        seen += files_below(root).values()
    assert seen
    for secret in secrets:
        assert not [content for content in seen if secret.encode() in content]


def _command_lines() -> list[bytes]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_bytes())
            except OSError:
                continue
    return found


def test_a_store_that_was_away_is_caught_up_when_nothing_else_is_due(
    medianest18: Target, tmp_path: Path
) -> None:
    home = tmp_path / "home1"
    store = StoreSettings(f"file://{tmp_path / 'nas'}")
    settings = settings_file(
        tmp_path / "s.yaml", medianest18, store, tmp_path / "backups", with_identity=False
    )
    told = console(settings, "backup", "run-due", home=home)
    assert "copy         vault: failed" in told
    (tmp_path / "nas").mkdir()
    assert "vault: copied" in console(settings, "backup", "run-due", home=home)
    assert "vault: has everything" in console(settings, "backup", "run-due", home=home)
