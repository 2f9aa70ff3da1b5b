"""Making a backup with the real tools: what is in it, and that it agrees with itself."""

from __future__ import annotations

import asyncio
import gzip
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import (
    connected,
    fill,
    left_behind,
    make_backup,
    settings_for,
    target_of,
    tools_of,
    until,
)
from psycopg import sql

from console.backup.archive import read_contents
from console.backup.derive import into_file
from console.backup.dump import Progress, compression_argument, create_backup
from console.backup.manifest import FileKind, Tier, Verdict, read_manifest, read_objects
from console.backup.store import Store
from console.backup.verify import verify
from console.errors import ActionRefused, CommandFailed, ConnectionFailed, PrivilegeMissing
from console.process import run
from console.target import Target
from console.tools import Tools, ToolSettings, find_tools

Database = dict[str, Any]
ALL = ("custom", "plain", "schema")


async def test_a_backup_holds_what_its_manifest_says(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(
        medianest_db, tmp_path, tier=Tier.DAILY, formats=ALL, count_rows_below_gb=1
    )
    manifest = backup.manifest
    assert manifest is not None
    assert manifest.tier is Tier.DAILY
    assert manifest.database == medianest_db["dbname"]
    assert manifest.migration == "20250905150611_add_password_hash_to_users"
    assert manifest.wal_position is not None
    assert "/" in manifest.wal_position
    assert {file.kind for file in manifest.files} == {
        FileKind.CUSTOM,
        FileKind.PLAIN,
        FileKind.SCHEMA,
        FileKind.ROLES,
        FileKind.OBJECTS,
    }
    with connected(medianest_db) as connection:
        for table in manifest.tables or ():
            name = sql.Identifier(table.schema, table.name)
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()
            assert row == (table.rows,)
    assert {extension.name for extension in manifest.extensions} >= {"pg_stat_statements"}
    assert manifest.properties is not None
    assert manifest.properties.encoding == "UTF8"
    assert backup.verdict is Verdict.COULD_NOT_VERIFY, "nothing is good before it is proven"


async def test_what_pg_dump_leaves_out_is_kept(medianest_db: Database, tmp_path: Path) -> None:
    name = sql.Identifier(medianest_db["dbname"])
    statements = (
        "ALTER DATABASE {} SET work_mem = '7MB'",
        "ALTER ROLE medianest IN DATABASE {} SET statement_timeout = '9s'",
        "GRANT CONNECT, TEMPORARY ON DATABASE {} TO medianest",
        "COMMENT ON DATABASE {} IS 'films'",
        "ALTER DATABASE {} CONNECTION LIMIT 42",
    )
    with connected(medianest_db) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(name))
    backup = await make_backup(medianest_db, tmp_path)
    manifest = backup.manifest
    assert manifest is not None
    assert manifest.properties is not None
    found = {(setting.role, setting.setting) for setting in manifest.settings}
    assert found == {("", "work_mem=7MB"), ("medianest", "statement_timeout=9s")}
    assert manifest.properties.comment == "films"
    assert manifest.properties.connection_limit == 42
    assert any(grant.startswith("medianest=") for grant in manifest.properties.grants)
    assert {role.name for role in manifest.roles} >= {"medianest", "postgres"}
    assert "CREATE ROLE medianest;" in (backup.path / "roles.sql").read_text()


async def test_all_formats_are_of_one_moment_while_others_write(
    medianest_db: Database, tmp_path: Path
) -> None:
    with connected(medianest_db) as connection:
        connection.execute("CREATE TABLE public.ticks (n int)")
    stop = asyncio.Event()

    async def write() -> int:
        n = 0
        async with await psycopg.AsyncConnection.connect(
            **medianest_db, autocommit=True
        ) as connection:
            while not stop.is_set():
                await connection.execute("INSERT INTO public.ticks VALUES (1)")
                n += 1
        return n

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.2)
    backup = await make_backup(medianest_db, tmp_path, formats=ALL)
    stop.set()
    written = await writing
    assert backup.manifest is not None
    (ticks,) = (table for table in backup.manifest.tables or () if table.name == "ticks")
    text = gzip.decompress((backup.path / "plain.sql.gz").read_bytes()).decode()
    copied = text.partition("COPY public.ticks (n) FROM stdin;\n")[2].partition("\\.\n")[0]
    assert copied.count("\n") == ticks.rows
    assert 0 < (ticks.rows or 0) < written


async def test_files_and_directories_are_private(medianest_db: Database, tmp_path: Path) -> None:
    backup = await make_backup(medianest_db, tmp_path / "new" / "root", formats=("directory",))
    for path in (tmp_path / "new").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert backup.archive_path == backup.path / "archive"


async def test_the_archive_has_offsets_for_a_parallel_restore(
    medianest_db: Database, tmp_path: Path
) -> None:
    """pg_restore takes the data blocks it needs out of order only where the archive has them."""
    backup = await make_backup(medianest_db, tmp_path)
    assert backup.archive_path is not None
    tools = await tools_of(medianest_db)
    piped = tmp_path / "piped.dump"
    with tools.command(target_of(medianest_db), "pg_dump", "--format=custom") as command:
        await run(command, consume=into_file(piped))
    # "Position not set" and eight bytes of nothing, once for each table (pg_backup_archiver.h).
    unset = b"\x01" + bytes(8)
    without = backup.archive_path.read_bytes().count(unset)
    assert piped.read_bytes().count(unset) >= without + 12


async def test_progress_names_phases_bytes_and_tables(
    medianest_db: Database, tmp_path: Path
) -> None:
    fill(medianest_db)
    seen: list[Progress] = []
    await make_backup(medianest_db, tmp_path, report=seen.append)
    assert {"reading the catalog", "dumping"} <= {progress.phase for progress in seen}
    dumping = [progress for progress in seen if progress.phase == "dumping"]
    assert any(progress.table == "public.ballast" for progress in dumping)
    done = [progress.done_bytes for progress in dumping]
    assert done == sorted(done)
    assert all((p.expected_bytes or 0) >= p.done_bytes for p in dumping)


async def test_rows_are_not_counted_above_the_size_that_settings_name(
    medianest_db: Database, tmp_path: Path
) -> None:
    with connected(medianest_db) as connection:
        connection.execute("ANALYZE")
    backup = await make_backup(medianest_db, tmp_path, count_rows_below_gb=0.0)
    assert backup.manifest is not None
    assert {table.rows for table in backup.manifest.tables or ()} == {None}
    assert backup.manifest.row_total is None


async def test_a_table_the_role_may_not_read_stops_it_at_once(
    medianest_db: Database, limited_role: object, tmp_path: Path
) -> None:
    assert callable(limited_role)
    with pytest.raises(PrivilegeMissing, match="may not read public") as caught:
        await make_backup(limited_role(medianest_db), tmp_path)
    assert "pg_read_all_data" in caught.value.hint
    assert not left_behind(tmp_path)
    assert not Store(tmp_path).backups()


async def test_a_locked_table_is_waited_for_and_then_named(
    medianest_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.backup.dump._LOCK_WAIT_MS", 300)
    with psycopg.connect(**medianest_db) as holder:
        holder.execute("LOCK TABLE public.users")
        with pytest.raises(CommandFailed, match="users") as caught:
            await make_backup(medianest_db, tmp_path)
        assert "pg_blocking_pids" in caught.value.hint
    assert not left_behind(tmp_path)


async def test_a_server_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    target = Target("home", {"host": "127.0.0.1", "port": "1", "user": "u", "dbname": "d"})
    tools = await find_tools(15)
    with pytest.raises(ConnectionFailed):
        await create_backup(target, Store(tmp_path), settings_for(tmp_path), tools)
    assert not left_behind(tmp_path)


async def test_tools_that_are_too_old_say_so(server18: object, tmp_path: Path) -> None:
    database = server18.conninfo("postgres")  # type: ignore[attr-defined]
    with pytest.raises(CommandFailed, match="version mismatch") as caught:
        await make_backup(database, tmp_path, major=15)
    assert "own major version" in caught.value.hint
    assert not left_behind(tmp_path)


async def test_cancelling_leaves_nothing_and_no_process(
    medianest_db: Database, tmp_path: Path
) -> None:
    fill(medianest_db)
    progress: list[Progress] = []
    task = asyncio.create_task(make_backup(medianest_db, tmp_path, report=progress.append))
    assert await until(lambda: progress and progress[-1].done_bytes > 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not left_behind(tmp_path)
    assert not Store(tmp_path).backups()
    with connected(medianest_db) as connection:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'medianest-console%'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert await until(lambda: connection.execute(query).fetchone() == (0,))


async def test_ids_grow_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    directory = store.claim("home")
    now = datetime(2026, 5, 1, tzinfo=UTC)
    first = store.new_id("home", Tier.DAILY, now)
    (directory / first).mkdir()
    second = store.new_id("home", Tier.DAILY, now - timedelta(days=400))
    assert second > first


async def test_names_that_are_hard_to_quote_are_backed_up(server: object, tmp_path: Path) -> None:
    admin = server.conninfo("postgres")  # type: ignore[attr-defined]
    name = "a b\";--'\\=ü"
    with connected(admin) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database = {**admin, "dbname": name}
    try:
        with connected(database) as connection:
            connection.execute('CREATE TABLE public."t ""1"" (x) FROM stdin;" ("c ""\\." text)')
            connection.execute(
                'INSERT INTO public."t ""1"" (x) FROM stdin;"'
                " VALUES (E'a\\n\\\\.\\nb'), ('\\.')"
            )
        backup = await make_backup(database, tmp_path, formats=ALL)
        assert backup.manifest is not None
        assert backup.manifest.database == name
        assert backup.manifest.row_total == 2
    finally:
        with connected(admin) as connection:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    ("compression", "argument"),
    [("gzip:9", "--compress=9"), ("gzip", "--compress=6"), ("none", "--compress=0")],
)
def test_compression_is_written_as_every_pg_dump_reads_it(compression: str, argument: str) -> None:
    assert compression_argument(compression, Tools("x", "13.4", "")) == argument


def test_compression_the_tools_lack_is_refused() -> None:
    modern = Tools("x", "17.1", "")
    assert compression_argument("zstd:3", modern) == "--compress=zstd:3"
    with pytest.raises(ActionRefused, match="zstd"):
        compression_argument("zstd:3", Tools("x", "15.1", ""))
    with pytest.raises(ActionRefused, match="zstd"):
        compression_argument("zstd:3", Tools("x", "18.6", "", embedded=True))


async def test_the_objects_are_listed_with_their_states(
    medianest_db: Database, tmp_path: Path
) -> None:
    with connected(medianest_db) as connection:
        connection.execute(
            "ALTER TABLE public.users ADD CONSTRAINT named CHECK (name <> 'x') NOT VALID"
        )
    backup = await make_backup(medianest_db, tmp_path)
    objects = {(o.kind, o.name): o.state for o in read_objects(backup.path) or ()}
    assert objects["constraint", "named on public.users"] == "check not validated"
    assert objects["index", "public.users_email_key on users"] == "unique"
    assert objects["index", "public.users_pkey on users"] == "primary"


async def test_a_changed_manifest_is_seen(medianest_db: Database, tmp_path: Path) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    path = backup.path / "manifest.json"
    content = json.loads(path.read_text())
    content["tables"][0]["rows"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="changed"):
        read_manifest(backup.path)
    (again,) = Store(tmp_path).backups()
    assert again.manifest is None
    assert again.verdict is Verdict.FAIL
    assert "changed" in again.problem


async def test_a_custom_archive_lists_every_table(medianest_db: Database, tmp_path: Path) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    assert backup.manifest is not None
    assert backup.archive_path is not None
    contents = await read_contents(await tools_of(medianest_db), backup.archive_path)
    assert contents.data_entries == len(backup.manifest.tables or ()) == 12
    assert len(contents.entries) == backup.manifest.toc_entries


@pytest.mark.slow
async def test_tools_in_a_container_stream_the_archive_and_leave_no_session_behind(
    medianest_db: Database, tmp_path: Path
) -> None:
    """Stands in for docker: it runs the program apart, where killing docker does not reach it."""
    fill(medianest_db)
    own = await tools_of(medianest_db)
    docker = tmp_path / "docker"
    docker.write_text(
        "#!/bin/bash\n"
        'while [ "$1" != inside ]; do shift; done; shift; program=$1; shift\n'
        f"export PGHOST={medianest_db['host']} PGPORT={medianest_db['port']}"
        f" PGPASSFILE={medianest_db['passfile']}\n"
        f'setsid {own.directory}/"$program" "$@" <&0 & wait $!\n'
    )
    docker.chmod(0o755)
    tools = replace(own, directory=None, prefix=(str(docker), "exec", "-i", "inside"))
    target, store = target_of(medianest_db), Store(tmp_path / "backups")
    settings = settings_for(store.root)
    backup = await create_backup(target, store, settings, replace(tools, place="container inside"))
    assert (await verify(store, backup, ToolSettings())).verdict is Verdict.PASS
    seen: list[Progress] = []
    making = create_backup(target, store, settings, tools, report=seen.append)
    task = asyncio.create_task(making)
    assert await until(lambda: seen and seen[-1].done_bytes > 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not left_behind(store.root)
    with connected(medianest_db) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'medianest-c%'"
        assert await until(lambda: connection.execute(query).fetchone() == (0,))
