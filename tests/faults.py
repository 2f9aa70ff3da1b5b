"""What the tests of faults share: a server that may be harmed, where to harm it, and one oracle."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import left_behind, tools_of, until
from conftest import SETTINGS, run_sql
from fingerprints import Fingerprint, differences, fingerprint
from psycopg import sql
from restores import Restoring

from console.backup.manifest import Verdict
from console.backup.store import Backup, Store
from console.backup.verify import verify
from console.local_server import LocalServer, find_binaries
from console.restore import run
from console.restore.plan import Plan
from console.restore.status import Phase, Status, read_status
from console.tools import Tools, ToolSettings

_names = itertools.count(1)

_SCHEMA = """
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
CREATE TABLE items (id serial PRIMARY KEY, owner bigint REFERENCES users, noise text);
CREATE INDEX ON items (owner);
INSERT INTO users (name) SELECT 'user ' || g FROM generate_series(1, 200) AS g;
INSERT INTO items (owner, noise) SELECT 1 + g % 200, md5(g::text)
    FROM generate_series(1, 3000) AS g;
CREATE MATERIALIZED VIEW per_user AS SELECT owner, count(*) FROM items GROUP BY owner;
"""
_SLOW = "CREATE MATERIALIZED VIEW slow AS SELECT 1 AS n, pg_sleep(1.5)::text"
"""A dump copies none of it and a restore refreshes it: a moment in the middle of every load."""

_PAUSER = """
import os, signal, sys
from console.restore import journal, run
write, wanted, paused = journal.Journal.append, sys.argv.pop(), []
def append(self, step, event, *rest, **data):
    write(self, step, event, *rest, **data)
    if f"{step} {event}" == wanted and not paused:
        paused.append(wanted)
        os.kill(os.getpid(), signal.SIGSTOP)
journal.Journal.append = append
run.main()
"""
"""Stands still right after it has written the wanted entry, until it is told to go on."""


@contextmanager
def own_server(major: int, directory: Path | None = None, **settings: str) -> Iterator[LocalServer]:
    """A server that nobody else uses, so that it may be stopped, filled up or shut out."""
    place = directory or Path(tempfile.mkdtemp(prefix="console-test-faults-", dir="/tmp"))
    place.mkdir(exist_ok=True)
    place.chmod(0o755)
    # What was committed must outlive a crash of the server (the machine itself does not crash).
    kept = {"synchronous_commit": "on", "full_page_writes": "on"}
    small = {"shared_preload_libraries": "", "shared_buffers": "16MB"}
    given = {**SETTINGS, **kept, **small, **settings}
    server = LocalServer(find_binaries(major), place, given)
    try:
        with server:
            yield server
    finally:
        if directory is None:
            shutil.rmtree(place, ignore_errors=True)


def crash(server: LocalServer) -> None:
    """What `pg_ctl stop -m immediate` and a start do: every session is cut, WAL is replayed."""
    server.stop(immediately=True)
    server.start()


@dataclass
class Bed:
    """A live database on a server that may be harmed, its backup, and what each of them holds."""

    server: LocalServer
    restoring: Restoring
    root: Path
    saved: Fingerprint
    """What the backup holds."""
    live: Fingerprint
    """What the live database holds that a restore would replace."""
    known: dict[str, Fingerprint] = field(default_factory=dict)
    """What each backup holds, by its id."""
    stopped: list[int] = field(default_factory=list)
    """Processes that were made to stand still."""

    @property
    def name(self) -> str:
        return self.restoring.name

    def now(self, name: str | None = None) -> Fingerprint:
        return fingerprint({**self.restoring.database, "dbname": name or self.name})

    async def backup(self, **changes: Any) -> Backup:
        """A verified backup of the live database as it is."""
        made = await self.restoring.backup(**changes)
        self.known[made.id] = self.now()
        return made

    async def paused(
        self, monkeypatch: pytest.MonkeyPatch, at: str, plan: Plan | None = None
    ) -> tuple[Path, int]:
        """A restore that stands still after the journal's entry `at`, and its process."""
        go_on = pause_at(monkeypatch, at)
        directory = await run.begin(
            plan or await self.restoring.plan(),
            self.restoring.target,
            self.restoring.settings,
            confirmed=True,
        )
        go_on()
        assert await until(lambda: stopped_process(directory) is not None, 60), at
        pid = stopped_process(directory)
        assert pid is not None
        self.stopped.append(pid)
        return directory, pid


@contextmanager
def bed(server: LocalServer, root: Path, *, slow_load: bool = False) -> Iterator[Bed]:
    """A database on the server; call `prepare` for its backup."""
    name = f"app {next(_names)}"
    admin = server.conninfo("postgres")
    run_sql(admin, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database: dict[str, Any] = {**server.conninfo(name)}
    with psycopg.connect(**database, autocommit=True) as connection:
        connection.execute(_SCHEMA)
        if slow_load:
            connection.execute(_SLOW)
    saved = fingerprint(database)
    found = Bed(server, Restoring(database, root), root, saved, saved)
    try:
        yield found
    finally:
        for pid in found.stopped:
            if _stands_still(pid):
                os.kill(pid, signal.SIGKILL)
        for other in found.restoring.databases() if server.running else ():
            run_sql(admin, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(other)))


async def prepare(found: Bed) -> Bed:
    """Back it up, then change it, so that old and new can be told apart."""
    await found.backup()
    run_sql(
        found.restoring.database,
        "UPDATE users SET name = 'changed ' || id",
        "DELETE FROM items WHERE id % 3 = 0",
        "CREATE TABLE later (n int)",
        # A restore computes it anew.
        "REFRESH MATERIALIZED VIEW per_user",
        # After a crash a sequence goes on at the next number that is in the WAL.
        "CHECKPOINT",
    )
    found.live = found.now()
    return found


def pause_at(monkeypatch: pytest.MonkeyPatch, entry: str) -> Callable[[], None]:
    """Have the next process stand still after an entry such as 'load intent'."""
    real = subprocess.run

    def launch(argv: list[str], **given: Any) -> Any:
        if argv[1:3] == ["-m", "console.restore.run"]:
            argv = [sys.executable, "-c", _PAUSER, *argv[3:], entry]
        return real(argv, **given)

    monkeypatch.setattr(subprocess, "run", launch)
    return lambda: monkeypatch.setattr(subprocess, "run", real)


def stopped_process(directory: Path) -> int | None:
    """The process of a restore when it stands still."""
    pid = read_status(directory).running
    return pid if pid and _stands_still(pid) else None


def _stands_still(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "T"


def let_go(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def cut_sessions(server: LocalServer) -> None:
    """End every session of the server, as a firewall or an administrator would."""
    run_sql(
        server.conninfo("postgres"),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )


def harmed_tools(tools: Tools, directory: Path, **scripts: str) -> Tools:
    """The same tools, but for those named: a script that may call the real one as `"$REAL"`."""
    assert tools.directory is not None
    directory.mkdir()
    for path in tools.directory.iterdir():
        if path.name not in scripts:
            (directory / path.name).symlink_to(path)
    for name, script in scripts.items():
        path = directory / name
        path.write_text(
            f'#!/bin/bash\nREAL="{tools.directory / name}"\n'
            f'case "$*" in *--version*) exec "$REAL" "$@";; esac\n{script}\n'
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return replace(tools, directory=directory)


def half_published(root: Path) -> list[str]:
    """Backups that are listed and not whole: the manifest or a file of it is missing or short."""
    found = []
    for backup in Store(root).backups():
        if backup.manifest is None:
            found.append(f"{backup.id}: {backup.problem}")
            continue
        found += [
            f"{backup.id}/{file.name}"
            for file in backup.manifest.files
            if not (backup.path / file.name).is_file()
            or (backup.path / file.name).stat().st_size != file.bytes
        ]
    return found


async def oracle(found: Bed, status: Status | None = None) -> None:
    """What must hold after every fault, whatever it was, with the server up and nothing running.

    No verified backup that cannot be restored; the live name changed only by a journalled commit
    and never lost; nothing half-published.
    """
    assert half_published(found.root) == []
    _live_is_old_or_new(found, status)
    for backup in Store(found.root).backups():
        if backup.verdict is Verdict.PASS:
            await _restorable(found, backup)


def _live_is_old_or_new(found: Bed, status: Status | None) -> None:
    now = found.now()
    is_old = not differences(found.live, now)
    is_new = not differences(found.saved, now)
    assert is_old or is_new, (differences(found.live, now), differences(found.saved, now))
    if status is None:
        assert is_old
        return
    if status.phase in (Phase.CUTTING, Phase.UNDOING):
        return  # the intent is written; whether it committed only the server knows
    swapped = "swap" in status.state.done and "undo-swap" not in status.state.done
    assert is_new if swapped else is_old, status.state


async def _restorable(found: Bed, backup: Backup) -> None:
    """Load it with pg_restore and nothing of ours, and compare with what was there."""
    assert backup.archive_path is not None
    tools = await tools_of(found.restoring.database)
    scratch = f"oracle {next(_names)}"
    admin = found.server.conninfo("postgres")
    run_sql(admin, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(scratch)))
    database = {**found.restoring.database, "dbname": scratch}
    try:
        environment = {
            **os.environ,
            "PGHOST": database["host"],
            "PGPORT": str(database["port"]),
            "PGUSER": database["user"],
            "PGPASSFILE": database["passfile"],
        }
        arguments = [tools.path("pg_restore"), "--exit-on-error", f"--dbname={scratch}"]
        done = await asyncio.to_thread(
            subprocess.run,
            [*arguments, str(backup.archive_path)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        if backup.id in found.known:
            # The database's own settings and grants are not in an archive but beside it.
            wanted = {**found.known[backup.id], "database": []}
            loaded = {**fingerprint(database), "database": []}
            assert differences(wanted, loaded) == [], backup.id
    finally:
        run_sql(admin, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(scratch)))


async def converges(found: Bed, status: Status | None = None, *, undo: bool = False) -> None:
    """The next run ends what was begun, and the one after it works as if nothing had been."""
    if status is not None and status.is_open:
        status = await found.restoring.go_on(status, "resume", confirmed=True)
        assert status.phase is Phase.DONE, status.state
    if status is not None and status.phase is Phase.DONE:
        assert differences(found.saved, found.now()) == []
        assert differences(found.live, found.now(status.kept)) == []
        if undo:
            status = await found.restoring.go_on(status, "undo")
            assert status.phase is Phase.UNDONE, status.state
        else:
            found.live = found.saved
        assert (await found.restoring.go_on(status, "finish")).phase is Phase.FINISHED
    assert differences(found.live, found.now()) == []
    assert found.restoring.databases() == {found.name}
    made = await found.restoring.backup()
    assert (await verify(Store(found.root), made, ToolSettings())).verdict is Verdict.PASS
    assert left_behind(found.root) == []
