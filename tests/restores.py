"""What the tests of restores share: plan one, run it in its own process, wait, compare."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import make_backup, settings_for, target_of, tools_of, until

from console.backup.store import Backup, Store
from console.backup.verify import verify
from console.process import output_of
from console.restore import run
from console.restore.plan import Plan, Request, make_plan
from console.restore.run import Action
from console.restore.source import find_source
from console.restore.status import Status, read_status
from console.settings import Settings
from console.target import Target
from console.tools import ToolSettings

_KILLER = """
import os, signal, sys
from console.restore import journal, run
write, left = journal.Journal.append, [int(sys.argv.pop())]
def append(self, step, event, *rest, **data):
    left[0] -= 1
    if left[0] == 0 and event != "intent":
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, step, event, *rest, **data)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
journal.Journal.append = append
run.main()
"""
"""Dies at the n-th entry: right after an intent is written, right before anything else is."""


@dataclass(frozen=True)
class Restoring:
    """A database, its backup directory, and restores of it."""

    database: dict[str, Any]
    root: Path

    @property
    def target(self) -> Target:
        return target_of(self.database)

    @property
    def name(self) -> str:
        return str(self.database["dbname"])

    @property
    def settings(self) -> Settings:
        return Settings(backups=settings_for(self.root))

    async def backup(self, **changes: Any) -> Backup:
        made = await make_backup(self.database, self.root, **changes)
        return await verify(Store(self.root), made, ToolSettings())

    async def plan(self, reference: str = "latest", **wishes: Any) -> Plan:
        source = find_source(Store(self.root), reference, "home")
        request = Request(**{"safety": False, **wishes})
        return await make_plan(
            self.target, source, request, self.settings.backups, self.settings.tools
        )

    async def restore(
        self, reference: str = "latest", *, confirmed: bool = True, **wishes: Any
    ) -> Status:
        plan = await self.plan(reference, **wishes)
        directory = await run.begin(plan, self.target, self.settings, confirmed=confirmed)
        return await ended(directory)

    async def go_on(self, status: Status, action: Action, **given: Any) -> Status:
        await run.go_on(status.directory, action, self.target, self.settings, **given)
        return await ended(status.directory)

    def ask(self, question: Any, name: str | None = None) -> Any:
        """The first column of the first row, from the database of that name."""
        given = {**self.database, "dbname": name or self.name}
        with psycopg.connect(**given, autocommit=True) as connection:
            row = connection.execute(question).fetchone()
        return row[0] if row else None

    def databases(self) -> set[str]:
        """Those that are this one, or made beside it."""
        rows = self.ask(
            "SELECT array_agg(datname::text) FROM pg_database WHERE datallowconn", "postgres"
        )
        return {name for name in rows if name == self.name or name.startswith(f"{self.name}_")}

    async def dumped(self, name: str | None = None) -> list[str]:
        """All of a database as pg_dump writes it, without what is of the one run."""
        target = target_of({**self.database, "dbname": name or self.name})
        tools = await tools_of(self.database)
        with tools.command(target, "pg_dump") as command:
            finished, text = await output_of(command)
        assert finished.returncode == 0, finished.lines
        return [line for line in text.splitlines() if "restrict " not in line]


async def ended(directory: Path) -> Status:
    """The restore as it is when its process has ended."""
    assert await until(lambda: read_status(directory).running is None, 60)
    return read_status(directory)


def die_at(monkeypatch: pytest.MonkeyPatch, entry: int) -> Callable[[], None]:
    """Have the next process be killed at its n-th journal entry; call the result to end that."""
    real = subprocess.run

    def launch(argv: list[str], **given: Any) -> Any:
        if argv[1:3] == ["-m", "console.restore.run"]:
            argv = [sys.executable, "-c", _KILLER, *argv[3:], str(entry)]
        return real(argv, **given)

    monkeypatch.setattr(subprocess, "run", launch)
    return lambda: monkeypatch.setattr(subprocess, "run", real)


def secrets_in(directory: Path, secret: str) -> list[str]:
    """Files below a directory that hold the secret."""
    return [
        str(path)
        for path in directory.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


def command_lines() -> Mapping[str, bytes]:
    """The arguments of every process of the machine."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found[entry.name] = (entry / "cmdline").read_bytes()
        except OSError:
            continue
    return found
