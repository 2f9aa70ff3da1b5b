"""Drills restore for real, compare, drop what they made, and never touch the live database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backups import connected, make_backup, settings_for, target_of, tools_of

from console.backup import complaints, scratch
from console.backup.drill import DrillOptions, compare_objects, compare_rows, drill
from console.backup.load import LoadOptions, LoadProgress, create, drop, load
from console.backup.manifest import TableRows, Verdict, write_manifest
from console.backup.store import Backup, Store
from console.backup.store import load as load_backup
from console.errors import ActionRefused, CommandFailed, QueryFailed
from console.findings import Finding, Severity
from console.local_server import LocalServer
from console.tools import ToolSettings, with_database
from queries.backup import DumpedObject

Database = dict[str, Any]


async def drilled(backup: Backup, database: Database, **options: Any) -> Backup:
    root = backup.path.parent.parent
    return await drill(
        Store(root),
        backup,
        target_of(database),
        settings_for(root),
        ToolSettings(),
        DrillOptions(**options),
    )


def databases(database: Database) -> set[str]:
    with connected(database) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


@pytest.mark.parametrize("formats", [("custom",), ("directory",)], ids=["custom", "directory"])
async def test_a_drill_on_the_server_passes_and_leaves_nothing(
    medianest_db: Database, tmp_path: Path, formats: tuple[str, ...]
) -> None:
    before = databases(medianest_db)
    backup = await drilled(await make_backup(medianest_db, tmp_path, formats=formats), medianest_db)
    proof = backup.drill
    assert proof is not None
    assert proof.verdict is Verdict.PASS, proof.checks
    assert proof.restore_seconds
    assert any("B-tree" in check.what for check in proof.checks)
    assert databases(medianest_db) == before


async def test_a_drill_on_a_temporary_server_needs_no_server(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    found = await drill(
        Store(tmp_path),
        backup,
        None,
        settings_for(tmp_path),
        ToolSettings(),
        DrillOptions(place="temporary"),
    )
    assert found.drill is not None
    assert found.drill.verdict is Verdict.PASS, found.drill.checks
    assert "temporary server" in found.drill.place


async def test_a_drill_with_newer_tools_takes_only_the_known_line_for_harmless(
    server15: LocalServer, tmp_path: Path
) -> None:
    admin = server15.conninfo("postgres")
    with connected(admin) as connection:
        connection.execute("DROP DATABASE IF EXISTS many WITH (FORCE)")
        connection.execute("CREATE DATABASE many")
    database: Database = server15.conninfo("many")
    with connected(database) as connection:
        for n in range(20):
            connection.execute(f"CREATE TABLE t{n} AS SELECT generate_series(1, 100) AS i")
            connection.execute(f"CREATE INDEX ON t{n} (i)")
    backup = await make_backup(database, tmp_path, major=18)
    for jobs in (1, 4):
        found = await drilled(backup, database, jobs=jobs)
        assert found.drill is not None
        assert found.drill.verdict is Verdict.PASS, found.drill.checks
        assert "harmless" in found.drill.checks[0].answer
    with connected(admin) as connection:
        connection.execute("DROP DATABASE many WITH (FORCE)")


async def test_functions_without_schema_in_indexes_get_their_second_pass(
    server15: LocalServer, tmp_path: Path
) -> None:
    """17 and later refuse such functions on the live server too, hence 15."""
    admin = server15.conninfo("postgres")
    with connected(admin) as connection:
        connection.execute("DROP DATABASE IF EXISTS careless WITH (FORCE)")
        connection.execute("CREATE DATABASE careless")
    database: Database = server15.conninfo("careless")
    with connected(database) as connection:
        connection.execute("CREATE TABLE names (id int PRIMARY KEY, name text)")
        connection.execute("INSERT INTO names SELECT g, 'n' || g FROM generate_series(1, 9) g")
        connection.execute(
            "CREATE FUNCTION lookup(i int) RETURNS text LANGUAGE plpgsql IMMUTABLE"
            " AS 'BEGIN RETURN (SELECT name FROM names WHERE id = i); END'"
        )
        connection.execute("CREATE TABLE others AS SELECT id FROM names")
        connection.execute("CREATE INDEX by_lookup ON others (lookup(id))")
        connection.execute("CREATE TABLE checked (id int CHECK (lookup(id) IS NOT NULL))")
        connection.execute("INSERT INTO checked VALUES (1), (2)")
        connection.execute("CREATE MATERIALIZED VIEW seen AS SELECT lookup(id) FROM names")
    try:
        backup = await make_backup(database, tmp_path)
        found = await drilled(backup, database)
        assert found.drill is not None
        assert found.drill.verdict is Verdict.PASS, found.drill.checks
        assert "second pass" in found.drill.checks[0].answer
    finally:
        with connected(admin) as connection:
            connection.execute("DROP DATABASE careless WITH (FORCE)")


async def test_a_restored_database_that_lacks_rows_fails(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    manifest = backup.manifest
    assert manifest is not None
    more = tuple(replace(table, rows=(table.rows or 0) + 1) for table in manifest.tables or ())
    write_manifest(backup.path, replace(manifest, tables=more))
    found = await drilled(load_backup(backup.path), medianest_db)
    assert found.verdict is Verdict.FAIL
    assert found.drill is not None
    assert "accounts" in found.drill.reason


async def test_a_truncated_archive_fails_and_the_scratch_database_is_dropped(
    medianest_db: Database, tmp_path: Path
) -> None:
    before = databases(medianest_db)
    backup = await make_backup(medianest_db, tmp_path)
    assert backup.archive_path is not None
    whole = backup.archive_path.read_bytes()
    backup.archive_path.write_bytes(whole[: len(whole) * 2 // 3])
    found = await drilled(backup, medianest_db)
    assert found.drill is not None
    assert found.drill.verdict is Verdict.FAIL
    assert databases(medianest_db) == before


async def test_a_role_that_may_not_create_databases_could_not_verify(
    medianest_db: Database, limited_role: Callable[[Database], Database], tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    found = await drilled(backup, limited_role(medianest_db))
    assert found.drill is not None
    assert found.drill.verdict is Verdict.COULD_NOT_VERIFY
    assert "CREATEDB" in found.drill.reason


@pytest.mark.slow
async def test_a_server_that_is_gone_could_not_verify(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    found = await drilled(backup, {**medianest_db, "host": "127.0.0.1", "port": "1"})
    assert found.drill is not None
    assert found.drill.verdict is Verdict.COULD_NOT_VERIFY


async def test_findings_of_the_profile_count(medianest_db: Database, tmp_path: Path) -> None:
    seen = []

    async def checks(target: Any) -> list[Finding]:
        seen.append(target.dbname)
        return [Finding("x", Severity.FAILURE, "t", "A table is missing.")]

    backup = await make_backup(medianest_db, tmp_path)
    found = await drilled(backup, medianest_db, profile_checks=checks)
    assert found.verdict is Verdict.FAIL
    assert seen != [medianest_db["dbname"]], "they run on the scratch database"


async def test_a_backup_in_use_is_not_removed(medianest_db: Database, tmp_path: Path) -> None:
    store = Store(tmp_path)
    backup = await make_backup(medianest_db, tmp_path)
    with store.using(backup), pytest.raises(ActionRefused, match="in use"):
        store.remove(backup)
    store.remove(backup)
    assert not store.backups()


async def test_what_a_killed_drill_left_is_dropped_and_nothing_else(
    medianest_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintenance = with_database(target_of(medianest_db), "postgres")
    dead = "medianest-console scratch for drill by 999999999@" + __import__("socket").gethostname()
    await create(maintenance, "left_over", None, comment=dead)
    await create(maintenance, "of_a_run", None, comment=scratch._comment("drill"))
    await create(maintenance, "somebodys", None, comment="mine")
    try:
        assert await scratch.sweep(maintenance) == ("left_over",)
        assert {"of_a_run", "somebodys"} <= databases(medianest_db)
    finally:
        await drop(maintenance, "of_a_run")
        await drop(maintenance, "somebodys")


async def test_a_database_is_never_created_over_another(medianest_db: Database) -> None:
    maintenance = with_database(target_of(medianest_db), "postgres")
    with pytest.raises(QueryFailed, match="already exists"):
        await create(maintenance, medianest_db["dbname"], None, comment="")


def test_scratch_names_fit_and_differ() -> None:
    names = {scratch.scratch_name("ü" * 40, "drill") for _ in range(20)}
    assert len(names) == 20
    assert all(len(name.encode()) <= 63 for name in names)
    assert "ü" * 40 not in names


@pytest.mark.parametrize("gzipped", [True, False])
async def test_plain_sql_is_loaded_whole_or_not_at_all(
    medianest_db: Database, empty_db: Database, tmp_path: Path, gzipped: bool
) -> None:
    import gzip

    backup = await make_backup(medianest_db, tmp_path, formats=("custom", "plain"))
    text = gzip.decompress((backup.path / "plain.sql.gz").read_bytes())
    broken = text.replace(b"\nCREATE TABLE public.users", b"\nCREATE TABEL public.users")
    path = tmp_path / "plain.sql"
    tools, target = await tools_of(empty_db), target_of(empty_db)
    path.write_bytes(gzip.compress(broken) if gzipped else broken)
    loaded = await load(tools, target, path)
    assert "syntax error" in loaded.fatal[0]
    with pytest.raises(CommandFailed, match="syntax error"):
        loaded.require_good()
    with connected(empty_db) as connection:
        assert connection.execute("SELECT to_regclass('public.sessions')").fetchone() == (None,)
    path.write_bytes(gzip.compress(text) if gzipped else text)
    (await load(tools, target, path)).require_good()
    with connected(empty_db) as connection:
        row = connection.execute("SELECT count(*) FROM public.users").fetchone()
    assert row is not None
    assert row[0] > 0


async def test_a_missing_role_is_told_and_left_out_when_owners_are_not_wanted(
    medianest_db: Database, empty_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    assert backup.archive_path is not None
    tools, target = await tools_of(empty_db), target_of(empty_db)
    seen: list[LoadProgress] = []
    with connected(medianest_db) as connection:
        connection.execute("ALTER ROLE medianest RENAME TO renamed_away")
    try:
        loaded = await load(tools, target, backup.archive_path, None, seen.append)
    finally:
        with connected(medianest_db) as connection:
            connection.execute("ALTER ROLE renamed_away RENAME TO medianest")
            connection.execute("ALTER ROLE medianest PASSWORD 'sample-password'")
    assert any('role "medianest" does not exist' in message for message in loaded.fatal)
    assert any(progress.table == "public.users" for progress in seen)
    with connected(empty_db) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("DROP EXTENSION IF EXISTS pg_stat_statements")
        connection.execute("CREATE SCHEMA public")
    options = LoadOptions(owners=False, privileges=False)
    (await load(tools, target, backup.archive_path, options)).require_good()


KNOWN = (
    "pg_restore: while INITIALIZING:",
    "pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter"
    ' "transaction_timeout"',
    "Command was: SET transaction_timeout = 0;",
)


def test_only_the_exact_line_is_harmless() -> None:
    (known,) = complaints.parse(KNOWN)
    assert known.nature is complaints.Nature.HARMLESS
    other = [KNOWN[1], "Command was: SET transaction_timeout = 5;"]
    assert complaints.parse(other)[0].nature is complaints.Nature.FATAL
    similar = [KNOWN[1].replace("transaction_timeout", "lock_timeout"), KNOWN[2]]
    assert complaints.parse(similar)[0].nature is complaints.Nature.FATAL


def test_known_lines_that_workers_wrote_at_once_are_still_harmless_and_others_among_them_not() -> (
    None
):
    mixed = [
        "pg_restore: pg_restore: while INITIALIZING:",
        "error: while INITIALIZING:",
        "pg_restore: error: " + KNOWN[1].removeprefix("pg_restore: error: ") * 2,
        "",
        "Command was: SET transaction_timeout = 0;Command was: SET transaction_timeout = 0;",
    ]
    assert {c.nature for c in complaints.parse(mixed)} == {complaints.Nature.HARMLESS}
    other = "could not execute query: ERROR:  disk on fire"
    for place in range(len(mixed)):
        lines = [*mixed[:place], mixed[place] + other, *mixed[place + 1 :]]
        assert complaints.Nature.FATAL in {c.nature for c in complaints.parse(lines)}, lines


def test_errors_that_were_not_understood_are_counted() -> None:
    lines = (*KNOWN, "pg_restore: warning: errors ignored on restore: 3")
    assert complaints.uncounted(lines, complaints.parse(lines)) == 2


def test_each_error_knows_its_entry() -> None:
    lines = [
        "pg_restore: while PROCESSING TOC:",
        "pg_restore: from TOC entry 12; 1259 99 INDEX by_lookup owner",
        'pg_restore: error: could not execute query: ERROR:  relation "names" does not exist',
        "LINE 1: (SELECT name FROM names)",
        "Command was: CREATE INDEX by_lookup ON public.names USING btree (public.lookup(id));",
        "pg_restore: from TOC entry 13; 0 0 ACL TABLE t owner",
        'pg_restore: error: could not execute query: ERROR:  role "x" does not exist',
        "Command was: GRANT ALL ON TABLE public.t TO x;",
    ]
    index, grant = complaints.parse(lines)
    assert (index.dump_id, index.nature) == (12, complaints.Nature.SEARCH_PATH)
    assert (grant.dump_id, grant.nature) == (13, complaints.Nature.FATAL)
    assert index.command.startswith("CREATE INDEX")


def test_rows_and_objects_are_compared_by_name() -> None:
    expected = [TableRows("public", "a", 2), TableRows("public", "b", 0)]
    assert compare_rows(expected, expected)[0].verdict is Verdict.PASS
    assert compare_rows(expected, expected[:1])[0].verdict is Verdict.FAIL
    assert compare_rows(None, expected)[0].verdict is Verdict.COULD_NOT_VERIFY
    uncounted = [TableRows("public", "a", None)]
    assert compare_rows(uncounted, expected)[0].verdict is Verdict.COULD_NOT_VERIFY
    index = DumpedObject("index", "public.i on t", "unique")
    invalid = replace(index, state="unique invalid")
    assert compare_objects([index], [index])[0].verdict is Verdict.PASS
    assert compare_objects([index], [invalid])[0].verdict is Verdict.FAIL
    assert compare_objects(None, [index])[0].verdict is Verdict.COULD_NOT_VERIFY
