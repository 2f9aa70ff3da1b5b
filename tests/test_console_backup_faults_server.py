"""Backups of a server that crashes, cuts, locks or refuses: nothing bad is published."""
# ruff: noqa: ASYNC220, ASYNC221

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import (
    children_named,
    fill,
    left_behind,
    make_backup,
    settings_for,
    tools_of,
    until,
)
from conftest import run_sql
from faults import (
    Bed,
    bed,
    converges,
    crash,
    cut_sessions,
    harmed_tools,
    oracle,
    own_server,
    prepare,
)
from psycopg import sql

from console.backup.dump import Progress, create_backup
from console.backup.manifest import Tier, Verdict
from console.backup.store import Backup, Store
from console.backup.verify import verify
from console.errors import ConsoleError
from console.local_server import LocalServer
from console.tools import ToolSettings

ROOT = Path(__file__).parent.parent
ALL = ("custom", "plain", "schema")


@pytest.fixture(scope="module", params=[18, 15])
def harmed(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    with own_server(request.param) as server:
        yield server


@pytest.fixture
async def app(harmed: LocalServer, tmp_path: Path) -> Any:
    with bed(harmed, tmp_path / "backups") as found:
        yield await prepare(found)


def once(phase: str, harm: Callable[[], None]) -> Callable[[Progress], None]:
    """Do the harm when the run says for the first time that it is in that phase."""
    done: list[str] = []

    def report(progress: Progress) -> None:
        if progress.phase == phase and not done:
            done.append(phase)
            harm()

    return report


@pytest.mark.slow
@pytest.mark.parametrize("harm", [crash, cut_sessions])
@pytest.mark.parametrize("phase", ["reading the catalog", "dumping", "counting rows"])
async def test_a_server_that_crashes_or_cuts_while_it_is_read_publishes_nothing(
    app: Bed, phase: str, harm: Callable[[LocalServer], None]
) -> None:
    """Before the first look there is no session to lose: then the backup is simply made."""
    before = [backup.id for backup in Store(app.root).backups()]
    report = once(phase, lambda: harm(app.server))
    try:
        made = await make_backup(app.restoring.database, app.root, report=report)
        assert phase != "dumping"
        assert (await verify(Store(app.root), made, ToolSettings())).verdict is Verdict.PASS
        app.known[made.id] = app.live
    except ConsoleError:
        assert [backup.id for backup in Store(app.root).backups()] == before
    assert left_behind(app.root) == []
    await oracle(app)
    await converges(app)


@pytest.mark.slow
async def test_a_server_that_is_gone_after_the_dump_does_not_spoil_it(app: Bed) -> None:
    """What is derived comes from the archive; only the roles are missing, and that is told."""
    report = once("writing plain SQL", lambda: app.server.stop(immediately=True))
    try:
        made = await make_backup(app.restoring.database, app.root, report=report, formats=ALL)
    finally:
        app.server.start()
    assert made.manifest is not None
    assert any("roles.sql was left out" in warning for warning in made.manifest.warnings)
    app.known[made.id] = app.live
    assert (await verify(Store(app.root), made, ToolSettings())).verdict is Verdict.PASS
    await oracle(app)


KILLED = {
    "pg_dump before it says anything": {"pg_dump": "kill -9 $$"},
    "pg_dump when all but its end is said": {"pg_dump": '"$REAL" "$@"; kill -9 $$'},
    "pg_dump that hides its failure": {
        "pg_dump": 'for word; do case "$word" in --file=*) printf PGDMP > "${word#--file=}";; esac;'
        " done; exit 0"
    },
    "pg_restore when it lists": {
        "pg_restore": 'case "$*" in *--list*|*" -l "*) kill -9 $$;; esac; exec "$REAL" "$@"'
    },
    "pg_restore in the middle of SQL": {
        "pg_restore": 'case "$*" in *--list*) exec "$REAL" "$@";; esac;'
        ' "$REAL" "$@" | head -c 900; kill -9 $$'
    },
    "pg_restore that ends early with exit code 0": {
        "pg_restore": 'case "$*" in *--list*) exec "$REAL" "$@";; esac;'
        ' "$REAL" "$@" 2>/dev/null | head -c 900; exit 0'
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("who", KILLED)
async def test_a_tool_killed_or_lying_at_any_point_publishes_nothing(
    app: Bed, tmp_path: Path, who: str
) -> None:
    tools = harmed_tools(await tools_of(app.restoring.database), tmp_path / "tools", **KILLED[who])
    before = [backup.id for backup in Store(app.root).backups()]
    with pytest.raises(ConsoleError):
        await create_backup(
            app.restoring.target, Store(app.root), settings_for(app.root, formats=ALL), tools
        )
    assert [backup.id for backup in Store(app.root).backups()] == before
    assert left_behind(app.root) == []
    await oracle(app)


@pytest.mark.slow
async def test_pg_dumpall_killed_costs_the_roles_alone(app: Bed, tmp_path: Path) -> None:
    tools = harmed_tools(
        await tools_of(app.restoring.database), tmp_path / "tools", pg_dumpall="kill -9 $$"
    )
    made = await create_backup(app.restoring.target, Store(app.root), settings_for(app.root), tools)
    assert made.manifest is not None
    assert "SIGKILL" in " ".join(made.manifest.warnings)
    assert (await verify(Store(app.root), made, ToolSettings())).verdict is Verdict.PASS


class FreezingProxy:
    """Passes a server's socket on over TCP until it is told to freeze or to cut."""

    def __init__(self, server: LocalServer) -> None:
        self._path = f"{server.host}/.s.PGSQL.{server.port}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.passed = 0
        self.cut = threading.Event()
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self.cut.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._path)
            self._sockets += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: Any, other: Any) -> None:
        try:
            while piece := one.recv(65536):
                self.passed += len(piece)
                other.sendall(piece)
        except OSError:
            return

    def break_all(self) -> None:
        self.cut.set()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.mark.slow
async def test_a_connection_that_is_cut_on_its_way_publishes_nothing(app: Bed) -> None:
    fill(app.restoring.database, 100_000)
    proxy = FreezingProxy(app.server)
    through = {**app.restoring.database, "host": "127.0.0.1", "port": str(proxy.port)}

    def cut(progress: Progress) -> None:
        if progress.done_bytes > 0:
            proxy.break_all()

    before = [backup.id for backup in Store(app.root).backups()]
    with pytest.raises(ConsoleError):
        await make_backup(through, app.root, report=cut)
    assert proxy.cut.is_set(), "it was cut in the middle"
    assert [backup.id for backup in Store(app.root).backups()] == before
    assert left_behind(app.root) == []
    run_sql(app.restoring.database, "DROP TABLE ballast")
    await oracle(app)
    await converges(app)


def waits_for_a_lock(database: dict[str, Any]) -> bool:
    """Whether pg_dump has come as far as the tables and found one locked."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND query LIKE 'LOCK TABLE%' AND datname = current_database()"
    )
    with psycopg.connect(**database) as connection:
        return connection.execute(query).fetchone() != (0,)


@pytest.mark.slow
async def test_the_console_killed_while_it_waits_reads_or_writes_leaves_nothing_published(
    app: Bed,
) -> None:
    """Points: waiting for a lock, in the rows, and in what is derived from the archive."""
    fill(app.restoring.database, 200_000)
    code = (
        "import asyncio, sys; sys.path.insert(0, 'tests')\n"
        "from pathlib import Path; from backups import make_backup; import json\n"
        f"asyncio.run(make_backup(json.loads(sys.argv[1]), Path(sys.argv[2]), formats={ALL!r}))"
    )
    arguments = [json.dumps(app.restoring.database), str(app.root)]
    store = Store(app.root)
    before = [backup.id for backup in store.backups()]

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT)

    def partial(name: str) -> bool:
        found = [*app.root.rglob(f".*.partial/{name}")]
        return any(path.stat().st_size for path in found)

    with psycopg.connect(**app.restoring.database) as holder:
        holder.execute("LOCK TABLE users")
        ours = begin()
        assert await until(lambda: waits_for_a_lock(app.restoring.database), 30)
        ours.kill()
        ours.wait()
    for name in ("archive.dump", "plain.sql.gz"):
        ours = begin()
        assert await until(lambda name=name: partial(name), 30), name
        dumps = children_named("pg_dump", ours.pid)
        ours.kill()
        ours.wait()
        assert await until(
            lambda pids=dumps: not any(Path(f"/proc/{p}/exe").exists() for p in pids)
        )
        assert [backup.id for backup in store.backups()] == before
    run_sql(app.restoring.database, "DROP TABLE ballast")
    await oracle(app)
    await converges(app)


@pytest.mark.slow
async def test_a_table_dropped_or_changed_while_it_runs_is_whole_or_refused(app: Bed) -> None:
    """The snapshot holds the catalog; pg_dump locks what it reads before others can change it."""
    store = Store(app.root)

    def migrate() -> None:
        with psycopg.connect(**app.restoring.database, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '200ms'")
            for statement in ("DROP TABLE later", "ALTER TABLE users ADD COLUMN more int"):
                try:
                    connection.execute(statement)
                except psycopg.errors.LockNotAvailable:
                    continue

    before = len(store.backups())
    try:
        made = await make_backup(app.restoring.database, app.root, report=once("dumping", migrate))
    except ConsoleError:
        assert len(store.backups()) == before
    else:
        found = await verify(store, made, ToolSettings())
        assert found.verdict is Verdict.PASS, found.verification
    assert left_behind(app.root) == []
    app.live = app.now()
    await oracle(app)


@pytest.mark.slow
async def test_rows_written_while_it_runs_are_in_all_or_in_none(app: Bed) -> None:
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(**app.restoring.database, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO users (name) VALUES (gen_random_uuid()::text)")
                connection.execute("DELETE FROM items WHERE id = (SELECT max(id) FROM items)")

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        made = await make_backup(app.restoring.database, app.root, formats=ALL)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert (await verify(Store(app.root), made, ToolSettings())).verdict is Verdict.PASS
    app.live = app.now()
    await oracle(app)


@pytest.mark.slow
async def test_a_crowd_of_console_processes_make_one_backup_each_or_say_who_is_at_work(
    app: Bed,
) -> None:
    code = (
        "import asyncio, sys, json; sys.path.insert(0, 'tests')\n"
        "from pathlib import Path; from backups import make_backup\n"
        "from console.errors import ActionRefused\n"
        "try: print(asyncio.run(make_backup(json.loads(sys.argv[1]), Path(sys.argv[2]))).id)\n"
        "except ActionRefused as error: print('refused', error.message)"
    )
    arguments = [json.dumps(app.restoring.database), str(app.root)]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    said = [(await asyncio.to_thread(run.communicate))[0].strip() for run in runs]
    made = [line for line in said if not line.startswith("refused")]
    assert made
    assert all("at work" in line for line in said if line not in made)
    assert len(set(made)) == len(made)
    assert left_behind(app.root) == []
    await oracle(app)


@pytest.mark.slow
async def test_a_clock_that_jumps_back_a_year_still_gives_the_newest_id(
    app: Bed, tmp_path: Path
) -> None:
    """With the kernel's clock as the process sees it (libfaketime), else with the function's."""
    first = Store(app.root).backups()[0]
    code = (
        "import asyncio, sys, json; sys.path.insert(0, 'tests')\n"
        "from pathlib import Path; from backups import make_backup\n"
        "print(asyncio.run(make_backup(json.loads(sys.argv[1]), Path(sys.argv[2]))).id)"
    )
    arguments = ["-c", code, json.dumps(app.restoring.database), str(app.root)]
    faketime = shutil.which("faketime")
    if faketime is None:
        from datetime import UTC, datetime, timedelta

        second = Store(app.root).new_id(
            "home", Tier.MANUAL, datetime.now(UTC) - timedelta(days=365)
        )
        assert second > first.id
        return
    done = subprocess.run(
        [faketime, "-f", "-365d", sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = Store(app.root).backups()[0]
    assert made.id == done.stdout.strip() > first.id
    app.known[made.id] = app.live
    assert (await verify(Store(app.root), made, ToolSettings())).verdict is Verdict.PASS
    assert Store(app.root).find("latest", "home").id == made.id
    await oracle(app)


@pytest.mark.slow
async def test_a_backup_run_twice_changes_nothing_of_the_first(app: Bed) -> None:
    first = Store(app.root).backups()[0]

    def content(backup: Backup) -> dict[str, bytes]:
        files = (path for path in backup.path.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files if path.name != "record.json"}

    before = content(first)
    again = await make_backup(app.restoring.database, app.root)
    assert again.id != first.id
    assert content(first) == before
    for _ in range(2):
        assert (await verify(Store(app.root), again, ToolSettings())).verdict is Verdict.PASS
    await oracle(app)


@pytest.mark.slow
async def test_an_owner_who_is_no_superuser_makes_a_whole_backup(app: Bed) -> None:
    admin = app.server.conninfo("postgres")
    run_sql(
        admin,
        "DROP ROLE IF EXISTS plain_owner",
        "CREATE ROLE plain_owner LOGIN PASSWORD 'plain-word'",
        sql.SQL("ALTER DATABASE {} OWNER TO plain_owner").format(sql.Identifier(app.name)),
    )
    run_sql(
        app.restoring.database,
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT oid::regclass AS n, relkind FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm') LOOP"
        " EXECUTE format('ALTER %s %s OWNER TO plain_owner',"
        " CASE r.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, r.n); END LOOP; END$$",
    )
    given = {**app.restoring.database, "user": "plain_owner", "password": "plain-word"}
    del given["passfile"]
    try:
        made = await make_backup(given, app.root)
        assert (await verify(Store(app.root), made, ToolSettings())).verdict is Verdict.PASS
        assert made.manifest is not None
        assert b"plain-word" not in b"".join(
            path.read_bytes() for path in made.path.rglob("*") if path.is_file()
        )
        app.live = app.now()
        app.known[made.id] = app.live
        await oracle(app)
    finally:
        run_sql(app.restoring.database, "REASSIGN OWNED BY plain_owner TO postgres")


@pytest.mark.slow
async def test_a_program_that_hangs_can_be_left(
    medianest_db: dict[str, Any], tmp_path: Path
) -> None:
    """Stopping the run ends its programs, and nothing is left."""
    progress: list[Progress] = []
    holder = psycopg.connect(**medianest_db)
    try:
        holder.execute("LOCK TABLE public.users")
        task = asyncio.create_task(make_backup(medianest_db, tmp_path, report=progress.append))
        assert await until(lambda: waits_for_a_lock(medianest_db), 30)
        for pid in children_named("pg_dump"):
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 30
        assert not children_named("pg_dump")
        assert left_behind(tmp_path) == []
    finally:
        holder.close()
