"""Backups on a disk that fills up, has no inodes, or may not be written or read."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backups import fill, left_behind, make_backup, small_disk
from faults import Bed, bed, own_server, prepare

from console.backup.manifest import Verdict
from console.backup.store import Store
from console.backup.verify import verify
from console.errors import CommandFailed
from console.local_server import LocalServer
from console.tools import ToolSettings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", params=[18, 15])
def harmed(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    with own_server(request.param) as server:
        yield server


@pytest.fixture
async def app(harmed: LocalServer, tmp_path: Path) -> Any:
    with bed(harmed, tmp_path / "backups") as found:
        yield await prepare(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spare_kb", "formats"),
    [
        (16, ("custom", "plain")),
        (200, ("custom", "plain")),
        (900, ("custom", "plain")),
        (16, ("directory",)),
        (300, ("directory",)),
    ],
)
async def test_a_disk_that_fills_at_any_byte_publishes_nothing(
    app: Bed, spare_kb: int, formats: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look beforehand is left out: another program may fill the disk after it."""
    monkeypatch.setattr("console.backup.space.require", lambda *_: None)
    fill(app.restoring.database, 20_000)
    with small_disk(12) as root:
        first = await make_backup(app.restoring.database, root)
        free = os.statvfs(root).f_bavail * os.statvfs(root).f_frsize
        (root / "filler").write_bytes(bytes(max(free - spare_kb * 1024, 0)))
        with pytest.raises(CommandFailed, match="No space"):
            await make_backup(app.restoring.database, root, formats=formats)
        assert left_behind(root) == []
        (root / "filler").unlink()
        assert [backup.id for backup in Store(root).backups()] == [first.id]
        again = await make_backup(app.restoring.database, root, formats=formats)
        assert (await verify(Store(root), again, ToolSettings())).verdict is Verdict.PASS


@pytest.mark.slow
async def test_a_disk_without_inodes_is_told(app: Bed) -> None:
    with small_disk(8, "nr_inodes=6") as root:
        with pytest.raises(CommandFailed, match="No space"):
            await make_backup(app.restoring.database, root)
        assert left_behind(root) == []


def _as_nobody(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python, once it has imported what it needs, as an ordinary account."""
    account = pwd.getpwnam("nobody")
    become = (
        f"import os; os.setgroups([]); os.setgid({account.pw_gid}); os.setuid({account.pw_uid})"
    )
    return subprocess.run(
        [sys.executable, "-c", f"{_IMPORTS}\n{become}\n{code}", *arguments],
        env={**os.environ, "HOME": "/tmp"},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


_IMPORTS = """import asyncio, concurrent.futures.thread, sys
from pathlib import Path
from console.backup.manifest import verdict_of
from console.backup.store import Store, load
from console.backup.verify import examine
from console.errors import CommandFailed
from console.tools import ToolSettings"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_directory_that_may_not_be_written_is_told_to_an_ordinary_user(
    server_directory: Path,
) -> None:
    (server_directory / "home").mkdir(mode=0o755)
    code = (
        "try: Store(Path(sys.argv[1])).claim('home')\n"
        "except CommandFailed as error: print(error.message, error.hint)"
    )
    done = _as_nobody(code, str(server_directory))
    assert done.returncode == 0, done.stderr
    assert "cannot be used: Permission denied" in done.stdout
    assert "may write to" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_backup_that_may_not_be_read_is_no_pass(
    medianest_db: dict[str, Any], server_directory: Path
) -> None:
    backup = await make_backup(medianest_db, server_directory)
    for path in (server_directory / "home", backup.path, backup.path / "manifest.json"):
        path.chmod(0o755)
    code = "print(verdict_of(asyncio.run(examine(load(Path(sys.argv[1])), ToolSettings()))))"
    done = _as_nobody(code, str(backup.path))
    assert done.stdout.strip() in ("fail", "could not verify"), done.stderr
