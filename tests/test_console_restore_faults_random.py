"""Faults drawn at random, one after another, on one database: the oracle holds after each.

`CONSOLE_SEEDS=200` runs two hundred seeds instead of a dozen; a failing seed alone tells it all.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from backups import children_named, left_behind, make_backup
from faults import Bed, bed, converges, crash, cut_sessions, let_go, oracle, own_server, prepare
from restores import ended

from console.backup.dump import Progress
from console.backup.store import Store
from console.errors import ConsoleError
from console.local_server import LocalServer
from console.restore.status import Phase, Status

SEEDS = range(int(os.environ.get("CONSOLE_SEEDS", "12")))
STEPS = ("safety", "roles", "create", "load", "validate", "properties", "close", "swap", "health")
ENTRIES = ("intent", "done")
DUMP_PHASES = ("reading the catalog", "dumping", "counting rows", "writing the schema")


@pytest.fixture(scope="module")
def both() -> Iterator[dict[int, LocalServer]]:
    with own_server(18) as new, own_server(15) as old:
        yield {18: new, 15: old}


def _kill_pg_dump(_server: LocalServer) -> None:
    for pid in children_named("pg_dump"):
        os.kill(pid, signal.SIGKILL)


async def _harmed_backup(app: Bed, chance: random.Random) -> str:
    harm: Callable[[LocalServer], None] = chance.choice([crash, cut_sessions, _kill_pg_dump])
    phase = chance.choice(DUMP_PHASES)
    done: list[str] = []

    def report(progress: Progress) -> None:
        if progress.phase == phase and not done:
            done.append(phase)
            harm(app.server)

    formats = chance.choice([("custom", "schema"), ("directory", "plain", "schema")])
    before = len(Store(app.root).backups())
    try:
        made = await make_backup(app.restoring.database, app.root, report=report, formats=formats)
        app.known[made.id] = app.live
    except ConsoleError:
        assert len(Store(app.root).backups()) == before
    assert left_behind(app.root) == []
    await oracle(app)
    return f"backup: {harm.__name__} when {phase}"


async def _harmed_restore(
    app: Bed, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Status]:
    at = f"{chance.choice(STEPS)} {chance.choice(ENTRIES)}"
    harm = chance.choice(["crash", "cut", "kill", "stop"])
    safety = chance.random() < 0.3
    first = min(app.known)
    planned = await app.restoring.plan(first, safety=safety)
    directory, pid = await app.paused(monkeypatch, at, planned)
    if harm == "crash":
        crash(app.server)
    elif harm == "cut":
        cut_sessions(app.server)
    elif harm == "kill":
        os.kill(pid, signal.SIGKILL)
    elif harm == "stop":
        os.kill(pid, signal.SIGTERM)
    if harm != "kill":
        let_go(pid)
    return f"restore: {harm} at {at}", await ended(directory)


async def _back(app: Bed, status: Status, chance: random.Random) -> None:
    """End the restore one way or the other; the live database is then the one it was."""
    if status.phase in (Phase.PREPARING, Phase.READY) and chance.random() < 0.5:
        aborted = await app.restoring.go_on(status, "abort")
        assert aborted.phase is Phase.ABORTED, aborted.state
        status = aborted
    await converges(app, status, undo=True)


def _door_is_open(app: Bed) -> bool:
    try:
        with psycopg.connect(**app.restoring.database):
            return True
    except psycopg.OperationalError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
async def test_faults_drawn_at_random_leave_no_bad_backup_and_no_lost_database(
    both: dict[int, LocalServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    server = both[chance.choice([18, 15])]
    history = []
    with bed(server, tmp_path / "backups") as app:
        await prepare(app)
        try:
            for _ in range(2):
                if chance.random() < 0.4:
                    history.append(await _harmed_backup(app, chance))
                    continue
                said, status = await _harmed_restore(app, chance, monkeypatch)
                history.append(said)
                if _door_is_open(app):
                    await oracle(app, status)
                else:
                    # Killed with the door closed: only then, and the next run opens it.
                    assert status.phase is Phase.CUTTING
                await _back(app, status, chance)
                await oracle(app)
        except BaseException as error:
            error.add_note(f"seed {seed}: {'; '.join(history)}")
            raise
