"""A restore that is killed, doubled or watched: the live name always has a whole database."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psycopg
import pytest
from backups import fill, until
from conftest import Database, run_sql
from faults import let_go, pause_at, stopped_process
from restores import Restoring, command_lines, die_at, ended, secrets_in

from console.errors import ActionRefused
from console.local_server import LocalServer
from console.restore import run
from console.restore.journal import Event, read_entries
from console.restore.status import Phase, read_status
from console.target import Target

USERS = "SELECT count(*) FROM public.users"
_LAST_BEFORE = 15
"""The intent of the swap: killed here or earlier, the names have not changed."""


@pytest.fixture
async def media(medianest_db: Database, tmp_path: Path) -> Restoring:
    """Backed up, and then emptied of users."""
    media = Restoring(medianest_db, tmp_path / "backups")
    await media.backup()
    run_sql(medianest_db, "TRUNCATE public.users CASCADE")
    return media


def _entries(*quick: int) -> list[object]:
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in range(1, 19)]


@pytest.mark.slow
@pytest.mark.parametrize("entry", _entries(14))
async def test_killed_anywhere_a_resume_ends_it(
    media: Restoring, monkeypatch: pytest.MonkeyPatch, entry: int
) -> None:
    live_again = die_at(monkeypatch, entry)
    killed = await media.restore()
    live_again()
    assert killed.phase is not Phase.DONE
    assert killed.is_open
    done = await media.go_on(killed, "resume")
    assert done.phase is Phase.DONE, done.state
    assert media.ask(USERS) > 0
    assert media.ask(USERS, done.kept) == 0
    assert media.databases() == {media.name, done.kept}


@pytest.mark.slow
@pytest.mark.parametrize("entry", _entries(16))
async def test_killed_anywhere_an_abort_takes_all_back_unless_the_names_have_changed(
    media: Restoring, monkeypatch: pytest.MonkeyPatch, entry: int
) -> None:
    live_again = die_at(monkeypatch, entry)
    killed = await media.restore()
    live_again()
    if entry <= _LAST_BEFORE:
        aborted = await media.go_on(killed, "abort")
        assert aborted.phase is Phase.ABORTED, aborted.state
        assert media.ask(USERS) == 0
        assert media.databases() == {media.name}
        return
    if killed.phase is Phase.CUTTING:
        # Killed after the commit and before it was written down: only the server knows.
        refused = await media.go_on(killed, "abort")
        assert "already" in refused.state.failure["message"]
    assert media.ask(USERS) > 0
    done = await media.go_on(killed, "resume")
    assert done.phase is Phase.DONE


@pytest.mark.parametrize("entry", [2, 3, 4])
@pytest.mark.slow
async def test_a_killed_undo_is_ended_by_resuming_it(
    media: Restoring, monkeypatch: pytest.MonkeyPatch, entry: int
) -> None:
    done = await media.restore()
    live_again = die_at(monkeypatch, entry)
    killed = await media.go_on(done, "undo")
    live_again()
    assert killed.phase is Phase.UNDOING
    undone = await media.go_on(killed, "resume")
    assert undone.phase is Phase.UNDONE, undone.state
    assert media.ask(USERS) == 0
    assert media.ask(USERS, undone.kept) > 0


@pytest.mark.slow
async def test_a_second_restore_at_the_same_time_is_refused(
    media: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = pause_at(monkeypatch, "load intent")
    directory = await run.begin(await media.plan(), media.target, media.settings, confirmed=True)
    go_on()
    assert await until(lambda: stopped_process(directory) is not None, 60)
    with pytest.raises(ActionRefused, match="is not over"):
        await media.restore()
    with pytest.raises(ActionRefused, match="already running"):
        await run.go_on(directory, "resume", media.target, media.settings)
    let_go(stopped_process(directory) or 0)
    assert (await ended(directory)).phase is Phase.DONE


@pytest.mark.slow
async def test_a_running_restore_can_be_aborted(media: Restoring) -> None:
    fill(media.database, 300_000)
    backup = await media.backup()
    directory = await run.begin(
        await media.plan(backup.id), media.target, media.settings, confirmed=True
    )
    assert await until(lambda: "load" in read_status(directory).state.begun)
    aborted = await media.go_on(read_status(directory), "abort")
    assert aborted.phase is Phase.ABORTED
    assert media.databases() == {media.name}
    assert media.ask(USERS) == 0


@pytest.mark.slow
async def test_a_killed_pg_restore_fails_it_and_leaves_the_live_one_alone(
    media: Restoring,
) -> None:
    fill(media.database, 300_000)
    backup = await media.backup()
    directory = await run.begin(
        await media.plan(backup.id), media.target, media.settings, confirmed=True
    )
    worker = read_status(directory).running
    loaders: list[int] = []

    def found() -> bool:
        for pid, words in command_lines().items():
            if b"pg_restore" in words and media.name.encode() in words and b"--dbname" in words:
                loaders.append(int(pid))
        return bool(loaders)

    assert await until(found)
    for pid in set(loaders):
        assert pid != worker
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    failed = await ended(directory)
    assert failed.phase is Phase.PREPARING
    assert failed.state.failure["step"] == "load"
    assert media.ask(USERS) == 0
    assert (await media.go_on(failed, "resume")).phase is Phase.DONE


@pytest.mark.slow
async def test_a_change_that_the_comparison_finds_stops_before_the_cut_over(
    media: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_again = die_at(monkeypatch, 9)
    killed = await media.restore()
    live_again()
    scratch = {**media.database, "dbname": killed.options.scratch}
    run_sql(scratch, "DELETE FROM public.sessions", "DROP INDEX public.users_email_key")
    failed = await media.go_on(killed, "resume", confirmed=True)
    assert failed.state.failure["step"] == "validate"
    assert "users_email_key" in failed.state.failure["message"]
    assert media.ask(USERS) == 0


@pytest.mark.slow
async def test_another_server_is_refused_when_resuming(
    media: Restoring, server15: LocalServer, server18: LocalServer
) -> None:
    ready = await media.restore(confirmed=False)
    ours = str(media.database["port"])
    other = next(server for server in (server15, server18) if str(server.port) != ours)
    elsewhere = Target("home", {**other.conninfo("postgres")})
    await run.go_on(ready.directory, "resume", elsewhere, media.settings, confirmed=True)
    refused = await ended(ready.directory)
    assert "not the server" in refused.state.failure["message"]
    assert media.ask(USERS) == 0


@pytest.mark.slow
async def test_no_password_is_in_a_command_line_a_journal_or_a_log(media: Restoring) -> None:
    secret = "p4ss-never-seen"
    admin = {**media.database, "dbname": "postgres"}
    run_sql(admin, f"CREATE ROLE restorer SUPERUSER LOGIN PASSWORD '{secret}'")
    given = {**media.database, "user": "restorer", "password": secret}
    del given["passfile"]
    with_secret = Restoring(given, media.root)
    fill(media.database, 100_000)
    backup = await with_secret.backup()
    directory = await run.begin(
        await with_secret.plan(backup.id, safety=True),
        with_secret.target,
        with_secret.settings,
        confirmed=True,
    )
    looks = 0
    while read_status(directory).running is not None:
        shown = await asyncio.to_thread(command_lines)
        assert not [words for words in shown.values() if secret.encode() in words]
        looks += 1
    assert looks > 3
    assert read_status(directory).phase is Phase.DONE
    assert secrets_in(directory, secret) == []
    assert secrets_in(media.root, secret) == []
    run_sql(media.database, "REASSIGN OWNED BY restorer TO postgres")
    run_sql(admin, "DROP ROLE restorer")


@pytest.mark.slow
async def test_a_journal_cut_in_the_middle_of_a_line_is_read_and_continued(
    media: Restoring,
) -> None:
    ready = await media.restore(confirmed=False)
    path = ready.directory / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert read_status(ready.directory).phase is Phase.PREPARING
    done = await media.go_on(ready, "resume", confirmed=True)
    assert done.phase is Phase.DONE
    assert read_entries(ready.directory)[-1].event is Event.DONE


@pytest.mark.slow
async def test_clients_that_reconnect_at_once_do_not_stop_a_restore(media: Restoring) -> None:
    stop = asyncio.Event()

    async def client() -> None:
        while not stop.is_set():
            try:
                async with await psycopg.AsyncConnection.connect(**media.database) as connection:
                    while not stop.is_set():
                        await connection.execute(USERS)
                        await connection.rollback()
                        await asyncio.sleep(0.02)
            except psycopg.Error:
                await asyncio.sleep(0)

    clients = [asyncio.create_task(client()) for _ in range(20)]
    done = await media.restore()
    stop.set()
    await asyncio.gather(*clients)
    assert done.phase is Phase.DONE, done.state
    assert done.downtime_seconds is not None
    assert done.downtime_seconds < 1
