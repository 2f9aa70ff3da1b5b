"""The demo: MediaNest as its migrations make it, data that holds, and nothing left behind."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg import sql

from console.cli import main
from console.demo import Demo, DemoOptions, demo, sample, workload
from console.demo.migrations import PRISMA_LOCK, apply_migrations, migrations
from console.errors import ActionRefused, CommandFailed, ExitCode

ROOT = Path(__file__).parents[1]
Database = dict[str, Any]


@pytest.fixture
def options(server_directory: Path) -> DemoOptions:
    return DemoOptions(directory=server_directory / "demo")


def ask(database: Database, query: str, parameters: Any = None) -> Any:
    with psycopg.connect(**database) as connection:
        row = connection.execute(query.encode(), parameters).fetchone()
        return row[0] if row else None


def ask_all(database: Database, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**database) as connection:
        return connection.execute(query.encode()).fetchall()


def orphans(database: Database) -> dict[str, int]:
    """Rows without their parent, for each foreign key (all are over one column)."""
    found = {}
    for name, table, column, target in ask_all(
        database,
        "SELECT conname, conrelid::regclass::text, a.attname, confrelid::regclass::text"
        " FROM pg_constraint JOIN pg_attribute a ON attrelid = conrelid AND attnum = conkey[1]"
        " WHERE contype = 'f'",
    ):
        found[name] = ask(
            database,
            f"SELECT count(*) FROM {table} c WHERE c.{column} IS NOT NULL"
            f" AND NOT EXISTS (SELECT FROM {target} p WHERE p.id = c.{column})",
        )
    return found


def schema_of(database: Database) -> list[tuple[Any, ...]]:
    return ask_all(
        database,
        "SELECT table_name, column_name, data_type, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
    ) + ask_all(database, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")


def processes_in(directory: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line and entry.name != str(os.getpid()):
            found.append(line.replace("\0", " "))
    return found


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_migrations_make_the_objects_medianest_has(medianest_db: Database) -> None:
    def count(query: str) -> Any:
        return ask(medianest_db, query)

    in_public = "schemaname = 'public'"
    assert count(f"SELECT count(*) FROM pg_tables WHERE {in_public}") == 12
    assert count(f"SELECT count(*) FROM pg_indexes WHERE {in_public}") == 34
    assert (
        count(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'p'"
            " AND connamespace = 'public'::regnamespace"
        )
        == 11
    )
    rules = ask_all(
        medianest_db,
        "SELECT confdeltype::text, count(*) FROM pg_constraint WHERE contype = 'f'"
        " AND convalidated AND confupdtype = 'c' GROUP BY 1 ORDER BY 1",
    )
    assert rules == [("c", 2), ("n", 1), ("r", 5)]
    owners = ask_all(medianest_db, f"SELECT DISTINCT tableowner FROM pg_tables WHERE {in_public}")
    assert owners == [("medianest",)]


def test_migrations_are_recorded_as_prisma_records_them(medianest_db: Database) -> None:
    rows = ask_all(
        medianest_db,
        "SELECT migration_name, checksum, applied_steps_count, logs, rolled_back_at,"
        " finished_at >= started_at, length(id) FROM _prisma_migrations ORDER BY started_at",
    )
    directory = ROOT / "console" / "demo" / "migrations"
    names = [
        "20250704075237_init",
        "20250720000000_add_error_logs_and_missing_indexes",
        "20250905150611_add_password_hash_to_users",
    ]
    assert rows == [
        (
            name,
            hashlib.sha256((directory / name / "migration.sql").read_bytes()).hexdigest(),
            *(1, None, None, True, 36),
        )
        for name in names
    ]


def test_migrations_once_applied_are_not_applied_again(medianest_db: Database) -> None:
    before = schema_of(medianest_db)
    with psycopg.connect(**medianest_db, autocommit=True) as connection:
        assert apply_migrations(connection) == []
    assert schema_of(medianest_db) == before


def test_a_failing_migration_leaves_its_row_unfinished_and_frees_the_lock(
    empty_db: Database,
) -> None:
    with psycopg.connect(**empty_db, autocommit=True) as connection:
        connection.execute("CREATE TABLE error_logs ()")
        with pytest.raises(psycopg.errors.DuplicateTable):
            apply_migrations(connection)
    rows = ask_all(
        empty_db, "SELECT migration_name, finished_at IS NULL FROM _prisma_migrations ORDER BY 1"
    )
    assert [unfinished for _, unfinished in rows] == [False, True]
    assert [name for name, _ in rows] == [migration.name for migration in migrations()[:2]]
    assert ask(empty_db, f"SELECT pg_try_advisory_lock({PRISMA_LOCK})") is True


@pytest.mark.parametrize(("size", "total"), [("small", 5_000), ("large", 5_000_000)])
def test_row_counts_add_up_to_the_size(size: str, total: int) -> None:
    counts = sample.row_counts(size)
    assert sum(counts.values()) == total
    assert min(counts.values()) > 0


def test_sample_fills_every_table_as_promised(medianest_db: Database) -> None:
    counted = {
        table: ask(medianest_db, f'SELECT count(*) FROM "{table}"')
        for table in sample.row_counts("small")
    }
    assert counted == sample.row_counts("small")
    assert set(orphans(medianest_db).values()) == {0}
    assert len(orphans(medianest_db)) == 8


def test_sample_has_the_shapes_and_the_skew_of_real_data(medianest_db: Database) -> None:
    hashes = [text for (text,) in ask_all(medianest_db, "SELECT password_hash FROM users") if text]
    assert len(hashes) > 10
    assert all(re.fullmatch(r"\$2b\$12\$[./A-Za-z0-9]{53}", text) for text in hashes)
    tokens = ask_all(medianest_db, "SELECT token_hash FROM session_tokens")
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for (text,) in tokens)
    identifiers = ask_all(medianest_db, "SELECT id FROM media_requests")
    assert all(re.fullmatch(r"c[0-9a-z]{24}", text) for (text,) in identifiers)
    completed = ask(
        medianest_db,
        "SELECT avg((status = 'completed')::int)::float8 FROM media_requests",
    )
    assert 0.5 < completed < 0.8
    busiest_tenth = ask(
        medianest_db,
        "SELECT sum(n) FILTER (WHERE place <= 10) / sum(n) FROM (SELECT count(*) AS n,"
        " row_number() OVER (ORDER BY count(*) DESC) AS place"
        " FROM media_requests GROUP BY user_id) AS s",
    )
    assert 0.4 < busiest_tenth < 0.7
    recent = ask(
        medianest_db,
        "SELECT avg((created_at > now() - interval '90 days')::int)::float8 FROM media_requests",
    )
    assert 0.25 < recent < 0.5
    assert ask(medianest_db, "SELECT max(created_at) <= now() FROM media_requests") is True
    assert ask(medianest_db, "SELECT count(*) FROM media_requests WHERE completed_at > now()") == 0


def contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: ask_all(database, f'SELECT * FROM "{table}" ORDER BY 1, 2')
        for table in sample.row_counts("small")
    }


def test_the_same_size_gives_the_same_rows(empty_db: Database) -> None:
    filled = []
    with psycopg.connect(**empty_db, autocommit=True) as connection:
        apply_migrations(connection)
        for moment in (1_750_000_000.0, 1_750_000_000.0, 1_760_000_000.0):
            for table in sample.row_counts("small"):
                connection.execute(
                    sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(sql.Identifier(table))
                )
            sample.fill(connection, "small", now=moment)
            filled.append(contents(empty_db))
    assert filled[0] == filled[1]
    assert filled[0] != filled[2]
    assert [row[0] for row in filled[0]["users"]] == [row[0] for row in filled[2]["users"]]
    moved = filled[2]["users"][7][9] - filled[0]["users"][7][9]
    assert moved.total_seconds() == pytest.approx(10_000_000, abs=0.01)


def test_statistics_say_how_many_rows_live(medianest_db: Database) -> None:
    estimate = ask(
        medianest_db, "SELECT reltuples::int FROM pg_class WHERE relname = 'media_requests'"
    )
    assert estimate == sample.row_counts("small")["media_requests"]


def test_workload_keeps_its_own_rows_few_and_everything_else_whole(
    medianest_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "_ROWS_KEPT", 5)
    before, schema = sample.row_counts("small"), schema_of(medianest_db)
    with psycopg.connect(**medianest_db, autocommit=True) as connection:
        client = workload.Workload(connection, Random(1))
        for _ in range(600):
            client.step()
        assert ask(medianest_db, "SELECT count(*) FROM error_logs") == before["error_logs"] + 5
        requests = ask(medianest_db, "SELECT count(*) FROM media_requests")
        assert requests == before["media_requests"] + 5
        workload.Workload(connection, Random(2)).remove_leftovers()
    assert ask(medianest_db, "SELECT count(*) FROM error_logs") == before["error_logs"]
    assert ask(medianest_db, "SELECT count(*) FROM media_requests") == before["media_requests"]
    assert set(orphans(medianest_db).values()) == {0}
    assert schema_of(medianest_db) == schema


def works(running: Demo) -> bool:
    """Whether the workload has done something since the last call."""
    conninfo: Database = {**running.conninfo}
    calls = "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements s JOIN pg_roles r"
    query = f"{calls} ON r.oid = s.userid WHERE rolname = 'medianest'"
    before = ask(conninfo, query)
    return wait_until(lambda: ask(conninfo, query) > before + 3)


def test_demo_runs_medianest_with_its_settings_and_a_live_workload(options: DemoOptions) -> None:
    directory = options.directory
    assert directory is not None
    seen: list[tuple[str, float | None]] = []
    watched = DemoOptions(
        directory=directory, on_progress=lambda what, share: seen.append((what, share))
    )
    with demo(watched) as running:
        conninfo: Database = {**running.conninfo}
        assert conninfo["dbname"] == "medianest"
        assert running.rows == "small"
        assert running.notice == ""
        shown = {name: ask(conninfo, f"SHOW {name}") for name in ("max_connections", "wal_level")}
        assert shown == {"max_connections": "100", "wal_level": "replica"}
        assert ask(conninfo, "SHOW shared_buffers") == "256MB"
        assert ask(conninfo, "SHOW listen_addresses") == ""
        role = "SELECT rolcanlogin AND NOT rolsuper FROM pg_roles WHERE rolname = 'medianest'"
        assert ask(conninfo, role) is True
        password = running.server.directory.password("medianest")
        assert password is not None
        assert all(password not in line for line in processes_in(directory))
        assert works(running)
        running.server.stop()
        running.server.start()
        assert works(running)
    assert processes_in(directory) == []
    fractions = [share for what, share in seen if share is not None]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    log = (directory / "server.log").read_text()
    assert "SCRAM-SHA-256$" not in log
    assert password not in log


@pytest.mark.slow
def test_demo_keeps_its_data_and_says_so_until_reset(options: DemoOptions) -> None:
    with (
        demo(options) as running,
        psycopg.connect(**dict[str, Any](running.conninfo)) as connection,
    ):
        connection.execute("CREATE TABLE mine ()")
    kept = DemoOptions(rows="medium", directory=options.directory)
    with demo(kept) as running:
        assert running.rows == "small"
        assert "small" in running.notice
        assert ask({**running.conninfo}, "SELECT to_regclass('mine') IS NOT NULL") is True
    with demo(DemoOptions(reset=True, directory=options.directory)) as running:
        assert ask({**running.conninfo}, "SELECT to_regclass('mine') IS NULL") is True
        assert ask({**running.conninfo}, "SELECT count(*) FROM users") == 100


@pytest.mark.slow
def test_second_demo_at_once_names_the_first(options: DemoOptions) -> None:
    with demo(options) as running:
        with pytest.raises(ActionRefused, match=f"pid {os.getpid()}") as refused, demo(options):
            pass
        assert refused.value.hint
        assert running.server.running
    with demo(options) as running:
        assert running.server.running


@pytest.mark.slow
def test_demo_kept_running_is_taken_over_by_the_next(options: DemoOptions) -> None:
    assert options.directory is not None
    with demo(DemoOptions(keep_running=True, directory=options.directory)) as running:
        pid = running.server.pid
    lines = processes_in(options.directory)
    assert [line for line in lines if "console.demo.workload" in line] == []
    assert lines
    with demo(options) as running:
        assert running.server.pid == pid
        assert works(running)
    assert processes_in(options.directory) == []


@pytest.mark.slow
def test_a_demo_kept_running_says_how_to_open_it(
    options: DemoOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = str(options.directory)
    main(["demo", "--directory", directory, "--keep-running", "--format", "json"])
    line = next(line for line in capsys.readouterr().err.splitlines() if "--dsn" in line)
    told = shlex.split(line)
    assert told[0] == "medianest-console"
    assert main([*told[1:], "check", "--only", "schema.tables"]) == ExitCode.OK
    with demo(options):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["starting PostgreSQL", "filling users", "filling error_logs"])
def test_an_interrupted_fill_is_recognised_and_done_again(
    options: DemoOptions, moment: str
) -> None:
    assert options.directory is not None

    def interrupt(what: str, _share: float | None) -> None:
        if what == moment:
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        demo(DemoOptions(directory=options.directory, on_progress=interrupt)),
    ):
        pass
    assert processes_in(options.directory) == []
    with demo(options) as running:
        assert ask({**running.conninfo}, "SELECT count(*) FROM error_logs") >= 1_500
        assert ask({**running.conninfo}, "SELECT count(*) FROM _prisma_migrations") == 3


RUNS_A_DEMO = """
    import sys, time
    from pathlib import Path
    from console.demo import DemoOptions, demo
    def tell(what, share):
        print(what, flush=True)
    with demo(DemoOptions(directory=Path(sys.argv[1]), on_progress=tell)):
        print("ready", flush=True)
        time.sleep(60)
"""


MOMENTS = ("creating the database cluster", "starting PostgreSQL", "filling users", "ready")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
QUICK = {(MOMENTS[0], SIGNALS[2]), (MOMENTS[2], SIGNALS[1]), (MOMENTS[3], SIGNALS[0])}


@pytest.mark.parametrize(
    ("moment", "signum"),
    [
        pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow])
        for case in itertools.product(MOMENTS, SIGNALS)
    ],
)
def test_a_demo_ended_by_a_signal_leaves_no_process(
    options: DemoOptions, moment: str, signum: signal.Signals
) -> None:
    assert options.directory is not None
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNS_A_DEMO), str(options.directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.strip() == moment:
                break
        time.sleep(0.05)
        process.send_signal(signum)
        process.wait(20)
    assert process.returncode != 0
    directory = options.directory
    assert wait_until(lambda: processes_in(directory) == [], 15.0), processes_in(directory)


def test_a_taken_directory_is_left_alone(server_directory: Path) -> None:
    (server_directory / "thesis.txt").write_text("mine")
    with (
        pytest.raises(ActionRefused, match="taken"),
        demo(DemoOptions(directory=server_directory, reset=True)),
    ):
        pass
    assert [path.name for path in server_directory.iterdir()] == ["thesis.txt"]


@pytest.fixture
def small_disk(server_directory: Path) -> Iterator[Path]:
    mount = server_directory / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=80m,mode=755", "none", str(mount)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.slow
def test_a_disk_full_while_filling_is_said_and_leaves_no_process(small_disk: Path) -> None:
    directory = small_disk / "demo"
    with (
        pytest.raises(CommandFailed, match="No space left on device") as failed,
        demo(DemoOptions(rows="medium", directory=directory)),
    ):
        pass
    assert "Free some disk space" in failed.value.hint
    assert processes_in(directory) == []
    # What the disk held is given back by a reset to a size that fits.
    with demo(DemoOptions(rows="small", reset=True, directory=directory)) as running:
        assert running.rows == "small"
