"""Restores on a server that crashes, cuts, fills up or refuses: the live name stays whole."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import small_disk, tools_of, until
from conftest import run_sql, server_major
from faults import (
    Bed,
    bed,
    converges,
    crash,
    cut_sessions,
    harmed_tools,
    let_go,
    oracle,
    own_server,
    pause_at,
    prepare,
    stopped_process,
)
from fingerprints import differences
from psycopg import sql
from restores import Restoring, ended

from console.backup.load import LoadOptions, create, load
from console.backup.store import Backup, Store
from console.backup.verify import verify
from console.errors import ActionRefused, ConsoleError
from console.local_server import LocalServer
from console.restore import journal, plan, run, steps
from console.restore.status import Phase, find_status
from console.tools import with_database


@pytest.fixture(scope="module", params=[18, 15])
def harmed(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    with own_server(request.param) as server:
        yield server


@pytest.fixture
async def app(harmed: LocalServer, tmp_path: Path) -> Any:
    with bed(harmed, tmp_path / "backups") as found:
        yield await prepare(found)


@pytest.fixture
async def slow_app(harmed: LocalServer, tmp_path: Path) -> Any:
    with bed(harmed, tmp_path / "backups", slow_load=True) as found:
        yield await prepare(found)


POINTS = (
    "create intent",
    "create done",
    "load intent",
    "load done",
    "validate intent",
    "validate done",
    "properties done",
    "close intent",
    "close done",
    "swap intent",
    "swap done",
    "health done",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "turn"), [pytest.param(at, n % 2, id=at) for n, at in enumerate(POINTS)]
)
async def test_a_server_that_crashes_or_cuts_at_any_step_leaves_a_whole_database(
    app: Bed, monkeypatch: pytest.MonkeyPatch, at: str, turn: int
) -> None:
    """Each point with both harms: one on 18 and the other on 15."""
    harm = (crash, cut_sessions)[(server_major(app.restoring.database) == 18) ^ turn]
    directory, pid = await app.paused(monkeypatch, at)
    harm(app.server)
    let_go(pid)
    status = await ended(directory)
    await oracle(app, status)
    await converges(app, status)


def _refreshing(app: Bed) -> bool:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'REFRESH%' AND state = 'active'"
        " AND datname LIKE '%restore%'"
    )
    return bool(app.restoring.ask(query, "postgres"))


def _kill_pg_restore(server: LocalServer) -> None:
    """All of its processes: what the kernel's out-of-memory killer does."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            mine = words[0].endswith(b"pg_restore")
            if mine and server.host.encode() in (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


@pytest.mark.slow
@pytest.mark.parametrize("harm", [crash, cut_sessions, _kill_pg_restore])
async def test_a_load_that_is_broken_off_in_its_middle_is_begun_again(
    slow_app: Bed, harm: Callable[[LocalServer], None]
) -> None:
    app = slow_app
    directory = await run.begin(
        await app.restoring.plan(), app.restoring.target, app.restoring.settings, confirmed=True
    )
    assert await until(lambda: _refreshing(app), 60)
    harm(app.server)
    status = await ended(directory)
    assert status.state.failure["step"] == "load"
    await oracle(app, status)
    await converges(app, status)


@pytest.mark.slow
async def test_a_crash_in_an_undo_is_ended_by_resuming_it(
    app: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await app.restoring.restore()
    go_on = pause_at(monkeypatch, "undo-close done")
    await run.go_on(done.directory, "undo", app.restoring.target, app.restoring.settings)
    go_on()
    assert await until(lambda: stopped_process(done.directory) is not None, 60)
    crash(app.server)
    let_go(stopped_process(done.directory) or 0)
    status = await ended(done.directory)
    if status.phase is not Phase.UNDONE:
        status = await app.restoring.go_on(status, "undo")
    assert status.phase is Phase.UNDONE, status.state
    assert differences(app.live, app.now()) == []
    assert (await app.restoring.go_on(status, "finish")).phase is Phase.FINISHED


@pytest.mark.slow
@pytest.mark.parametrize("major", [18, 15])
async def test_a_servers_disk_that_fills_up_leaves_the_live_database_alone(
    tmp_path: Path, major: int
) -> None:
    with (
        small_disk(240) as disk,
        own_server(major, disk / "server") as server,
        bed(server, tmp_path / "backups") as app,
    ):
        run_sql(
            app.restoring.database,
            "CREATE TABLE ballast AS SELECT g AS id, repeat(md5(g::text), 20) AS noise"
            " FROM generate_series(1, 20000) AS g",
        )
        app.saved = app.now()
        await prepare(app)
        planned = await app.restoring.plan()
        assert any(found.check == "restore.space" for found in planned.preflight.findings)
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filler = disk / "filler"
        # Room for an empty database, and for a part of the rows.
        filler.write_bytes(bytes(free - 18_000_000))
        directory = await run.begin(
            planned, app.restoring.target, app.restoring.settings, confirmed=True
        )
        status = await ended(directory)
        assert status.phase is Phase.PREPARING
        assert "space" in status.state.failure["message"].lower(), status.state.failure
        filler.unlink()
        if not server.running:
            server.start()
        await oracle(app, status)
        await converges(app, status)


def fill_up(path: Path) -> None:
    """Append empty lines until the disk has no room for another byte."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for length in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(descriptor, b"\n" * length)
    finally:
        os.close(descriptor)


@pytest.mark.slow
async def test_a_journal_on_a_full_disk_stops_before_the_live_name_is_touched(
    app: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(4) as disk:
        monkeypatch.setenv("XDG_STATE_HOME", str(disk))
        directory, pid = await app.paused(monkeypatch, "load done")
        filler = disk / "filler"
        fill_up(filler)
        # The journal's own last page still has room: what is appended there is kept, and that too
        # must not lead past an entry that is not.
        fill_up(directory / "journal.jsonl")
        let_go(pid)
        status = await ended(directory)
        assert "swap" not in status.state.done
        assert differences(app.live, app.now()) == []
        filler.unlink()
        await oracle(app, status)
        await converges(app, status)


@pytest.mark.slow
async def test_a_lock_that_is_held_on_every_table_does_not_matter(app: Bed) -> None:
    """The live tables are not read without a safety backup, and their sessions end at the swap."""
    with psycopg.connect(**app.restoring.database) as holder:
        holder.execute("LOCK TABLE users, items")
        done = await app.restoring.restore()
        assert done.phase is Phase.DONE, done.state
        with pytest.raises(psycopg.OperationalError):
            holder.execute("SELECT 1")
    await oracle(app, done)
    await converges(app, done)


@pytest.mark.slow
async def test_sessions_that_begin_between_the_door_and_the_names_are_ended(
    app: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens the door again meanwhile, with clients at it, cannot split the two names."""
    directory, pid = await app.paused(monkeypatch, "close done")
    run_sql(
        app.server.conninfo("postgres"),
        sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(app.name)),
    )
    clients = [psycopg.connect(**app.restoring.database) for _ in range(5)]
    let_go(pid)
    status = await ended(directory)
    for client in clients:
        client.close()
    assert status.phase is Phase.DONE, status.state
    await oracle(app, status)
    await converges(app, status)


def _role(app: Bed, name: str, options: str) -> dict[str, Any]:
    run_sql(
        app.server.conninfo("postgres"),
        sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)),
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'role-word' " + options).format(
            sql.Identifier(name)
        ),
    )
    given = {**app.restoring.database, "user": name, "password": "role-word"}
    del given["passfile"]
    return given


def _give_all(app: Bed, name: str) -> None:
    owner = sql.Identifier(name)
    run_sql(
        app.restoring.database,
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(app.name), owner),
        sql.SQL("ALTER TABLE users OWNER TO {}").format(owner),
        sql.SQL("ALTER TABLE items OWNER TO {}").format(owner),
        sql.SQL("ALTER MATERIALIZED VIEW per_user OWNER TO {}").format(owner),
        sql.SQL("ALTER TABLE IF EXISTS later OWNER TO {}").format(owner),
    )


def _take_back(app: Bed, name: str) -> None:
    statement = sql.SQL("REASSIGN OWNED BY {} TO postgres").format(sql.Identifier(name))
    for database in app.restoring.databases():
        run_sql({**app.restoring.database, "dbname": database}, statement)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "owns", "said"),
    [("NOCREATEDB", True, "may not create databases"), ("CREATEDB", False, "does not own")],
    ids=["an owner without CREATEDB", "CREATEDB without being the owner"],
)
async def test_rights_that_are_missing_are_named_before_anything_is_done(
    app: Bed, options: str, owns: bool, said: str
) -> None:
    given = _role(app, "half_right", options)
    if owns:
        _give_all(app, "half_right")
        app.live = app.now()
    try:
        with pytest.raises(ActionRefused, match=said) as caught:
            await Restoring(given, app.root).restore()
        assert caught.value.hint
        assert "role-word" not in caught.value.message + caught.value.hint
        assert app.restoring.databases() == {app.name}
        await oracle(app)
    finally:
        _take_back(app, "half_right")


@pytest.mark.slow
async def test_an_owner_who_is_no_superuser_restores_undoes_and_finishes(
    harmed: LocalServer, tmp_path: Path
) -> None:
    with bed(harmed, tmp_path / "backups") as app:
        given = _role(app, "home_owner", "CREATEDB")
        _give_all(app, "home_owner")
        app.saved = app.now()
        theirs = Restoring(given, app.root)
        await theirs.backup()
        run_sql(app.restoring.database, "DELETE FROM items WHERE id > 100")
        app.live = app.now()
        try:
            done = await theirs.restore(safety=True)
            assert done.phase is Phase.DONE, done.state
            assert differences(app.saved, app.now()) == []
            undone = await theirs.go_on(done, "undo")
            assert undone.phase is Phase.UNDONE, undone.state
            assert differences(app.live, app.now()) == []
            finished = await theirs.go_on(undone, "finish")
            assert finished.phase is Phase.FINISHED, finished.state
            assert app.restoring.databases() == {app.name}
        finally:
            _take_back(app, "home_owner")


@pytest.mark.slow
async def test_an_extension_that_the_server_lacks_is_named(
    server15: LocalServer, server18: LocalServer, tmp_path: Path
) -> None:
    with bed(server15, tmp_path / "backups") as old, bed(server18, tmp_path / "other") as new:
        available = "SELECT array_agg(name::text) FROM pg_available_extensions"
        lacking = set(old.restoring.ask(available)) - set(new.restoring.ask(available))
        name = next(name for name in ("old_snapshot", "adminpack", *lacking) if name in lacking)
        run_sql(
            old.restoring.database,
            sql.SQL("CREATE EXTENSION {} CASCADE").format(sql.Identifier(name)),
        )
        backup = await old.restoring.backup()
        with pytest.raises(ActionRefused, match=name):
            await new.restoring.restore(str(backup.path))
        assert new.restoring.databases() == {new.name}
        await oracle(new)


@pytest.mark.slow
async def test_an_archive_of_18_goes_back_into_15_and_one_of_15_into_18(
    server15: LocalServer, server18: LocalServer, tmp_path: Path
) -> None:
    """15's own tools cannot read it: newer ones are used, and their one error is known."""
    with bed(server15, tmp_path / "old") as old, bed(server18, tmp_path / "new") as new:
        of_old, of_new = await old.restoring.backup(), await new.restoring.backup()
        by_new_tools = await old.restoring.backup(major=18)
        for app, backup in ((new, of_old), (old, of_new), (old, by_new_tools)):
            run_sql(app.restoring.database, "DROP TABLE IF EXISTS users CASCADE")
            done = await app.restoring.restore(str(backup.path))
            assert done.phase is Phase.DONE, done.state
            assert app.now()["rows"] == app.saved["rows"]
            await app.restoring.go_on(done, "finish")


@pytest.mark.slow
async def test_tools_that_are_too_old_for_an_archive_are_told_before_anything_is_done(
    server15: LocalServer, server18: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console import tools as module

    with bed(server15, tmp_path / "old") as old, bed(server18, tmp_path / "new") as new:
        backup = await new.restoring.backup()
        real = module.all_tools

        async def only_old(*given: Any, **named: Any) -> Any:
            return [tools for tools in await real(*given, **named) if tools.major < 16]

        monkeypatch.setattr(module, "all_tools", only_old)
        with pytest.raises(ActionRefused, match=r"needs pg_restore|No client programs"):
            await old.restoring.restore(str(backup.path))
        assert old.restoring.databases() == {old.name}
        await oracle(old)


@pytest.mark.slow
async def test_a_clock_that_jumps_back_gives_a_later_restore(
    app: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await app.restoring.restore()
    await app.restoring.go_on(first, "undo")
    await app.restoring.go_on(first, "finish")

    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(days=365)

    with monkeypatch.context() as clock:
        clock.setattr(plan, "datetime", Behind)
        second = await app.restoring.restore()
    assert second.id > first.id
    assert find_status().id == second.id
    await oracle(app, second)


@pytest.mark.slow
async def test_a_safety_backup_that_does_not_pass_is_told(
    app: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restore goes on: the old database itself is kept."""
    options = (await app.restoring.plan(safety=True)).options
    directory = journal.create(options.id)
    work = steps.Work(
        journal.Journal(directory), options, app.restoring.target, app.restoring.settings
    )

    async def harmed(store: Store, backup: Backup, *given: Any) -> Backup:
        assert backup.archive_path is not None
        with backup.archive_path.open("ab") as archive:
            archive.write(b"one byte more")
        return await verify(store, backup, *given)

    monkeypatch.setattr(steps, "verify", harmed)
    made: dict[str, Any] = {}
    await steps._safety(work, made)
    assert made["verdict"] == "fail"
    assert work.state.warnings == [f"The safety backup {made['backup']} did not pass: fail."]


async def test_a_pg_restore_that_dies_after_known_errors_has_not_restored(
    server15: LocalServer, tmp_path: Path
) -> None:
    """The second pass mends what failed for its search path alone, not what was never reached."""
    admin = server15.conninfo("postgres")
    run_sql(admin, "DROP DATABASE IF EXISTS careless_too", "CREATE DATABASE careless_too")
    source: dict[str, Any] = {**server15.conninfo("careless_too")}
    run_sql(
        source,
        "CREATE TABLE names (id int PRIMARY KEY, name text)",
        "INSERT INTO names VALUES (1, 'one')",
        "CREATE FUNCTION lookup(i int) RETURNS text LANGUAGE plpgsql IMMUTABLE"
        " AS 'BEGIN RETURN (SELECT name FROM names WHERE id = i); END'",
        "CREATE TABLE others AS SELECT id FROM names",
        "CREATE INDEX by_lookup ON others (lookup(id))",
    )
    given = Restoring(source, tmp_path / "backups")
    backup = await given.backup()
    tools = harmed_tools(
        await tools_of(source),
        tmp_path / "tools",
        pg_restore='case "$*" in *--dbname=*) "$REAL" "$@"; kill -9 $$;; esac; exec "$REAL" "$@"',
    )
    place = with_database(given.target, "postgres")
    await create(place, "careless_copy", None, comment="test")
    try:
        assert backup.archive_path is not None
        loaded = await load(
            tools,
            with_database(given.target, "careless_copy"),
            backup.archive_path,
            LoadOptions(jobs=1, search_path="public"),
        )
        with pytest.raises(ConsoleError):
            loaded.require_good()
    finally:
        run_sql(admin, "DROP DATABASE careless_copy", "DROP DATABASE careless_too")
