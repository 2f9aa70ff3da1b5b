"""What is stored against what is promised: broken rows, doubled keys, damaged pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from conftest import SETTINGS, Database, run_sql, server_major

from console.checks import Progress, run
from console.errors import CommandFailed
from console.findings import Finding, Severity
from console.local_server import LocalServer, find_binaries
from console.target import Target


async def findings(database: Database, *only: str) -> list[Finding]:
    report = await run(Target("test", database), None, only=only)
    return [finding for result in report.results for finding in result.findings]


async def test_rows_that_break_a_constraint_are_counted_until_they_are_mended(
    empty_db: Database,
) -> None:
    run_sql(
        empty_db,
        "CREATE FUNCTION is_even(n int) RETURNS boolean LANGUAGE sql"
        " IMMUTABLE AS 'SELECT n % 2 = 0'",
        "CREATE TABLE t (id int, n int)",
        "INSERT INTO t SELECT g, g FROM generate_series(1, 3000) AS g",
        "ALTER TABLE t ADD CONSTRAINT even CHECK (public.is_even(n)) NOT VALID",
        "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0) NOT VALID",
    )
    found = await findings(empty_db, "integrity.violations")
    assert [(f.severity, f.subject) for f in found] == [(Severity.FAILURE, "even on public.t")]
    assert found[0].message.startswith("At least 1000 rows break it")
    run_sql(empty_db, "DELETE FROM t WHERE n % 2 <> 0")
    assert not await findings(empty_db, "integrity.violations")


async def test_keys_that_are_there_twice_under_an_unfinished_index_are_counted(
    empty_db: Database,
) -> None:
    run_sql(
        empty_db, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (1), (2), (NULL), (NULL)"
    )
    with suppress(psycopg.errors.UniqueViolation):
        run_sql(empty_db, "CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)")
    found = await findings(empty_db, "integrity.duplicates")
    assert [(f.subject, f.message.split()[0]) for f in found] == [("public.t_a", "1")]
    run_sql(empty_db, "DELETE FROM t WHERE a = 1", "REINDEX INDEX CONCURRENTLY t_a")
    assert not await findings(empty_db, "integrity.duplicates")


@pytest.mark.slow
async def test_without_amcheck_or_the_right_nothing_is_called_well(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    missing = await findings(medianest_db, "integrity.corruption")
    assert [(f.severity, f.subject) for f in missing] == [(Severity.UNKNOWN, "amcheck")]
    run_sql(medianest_db, "CREATE EXTENSION amcheck")
    assert not await findings(medianest_db, "integrity.corruption")
    refused = await findings(limited_role(medianest_db), "integrity.corruption")
    assert {f.severity for f in refused} == {Severity.UNKNOWN}


async def test_looking_into_pages_tells_where_it_is_and_can_be_cancelled(
    medianest_db: Database,
) -> None:
    run_sql(medianest_db, "CREATE EXTENSION amcheck")
    told: list[str] = []
    reached = asyncio.Event()

    def progressed(progress: Progress) -> None:
        told.append(progress.step)
        if len(told) == 20:
            reached.set()

    job = asyncio.create_task(
        run(Target("t", medianest_db), None, only=["integrity.corruption"], on_progress=progressed)
    )
    async with asyncio.timeout(60):
        await reached.wait()
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    assert job.cancelled()
    assert any(" %, " in words for words in told)


async def test_an_emptied_unlogged_table_is_told(empty_db: Database) -> None:
    run_sql(empty_db, "CREATE UNLOGGED TABLE cache (id int)")
    assert [f.severity for f in await findings(empty_db, "integrity.unlogged")] == [
        Severity.WARNING
    ]
    run_sql(empty_db, "INSERT INTO cache VALUES (1)")
    assert not await findings(empty_db, "integrity.unlogged")


@pytest.fixture(params=[18, 15])
def damageable(request: pytest.FixtureRequest, server_directory: Path) -> LocalServer:
    """A server of the test's own, which is stopped."""
    try:
        binaries = find_binaries(int(request.param))
    except CommandFailed as error:
        pytest.skip(str(error))
    return LocalServer(binaries, server_directory, SETTINGS, tcp_port=0)


def _damage(path: Path) -> None:
    """Write over a part of the third page, as a bad disk would."""
    with path.open("r+b") as file:
        file.seek(2 * 8192 + 4000)
        file.write(bytes(range(256)) * 4)


@pytest.mark.slow
async def test_a_damaged_index_and_a_damaged_table_are_named(damageable: LocalServer) -> None:
    with damageable:
        database: Database = {**damageable.conninfo("postgres")}
        run_sql(
            database,
            "CREATE EXTENSION amcheck",
            "CREATE TABLE hurt (id int, name text)",
            "INSERT INTO hurt SELECT n, 'name ' || n FROM generate_series(1, 5000) AS n",
            "CREATE INDEX hurt_id ON hurt (id)",
            "CREATE TABLE broken (id int)",
            "INSERT INTO broken SELECT generate_series(1, 5000)",
            "CREATE TABLE whole (id int PRIMARY KEY)",
            "CHECKPOINT",
        )
        with psycopg.connect(**database) as connection:
            row = connection.execute(
                "SELECT d || '/' || pg_relation_filepath('hurt_id'),"
                " d || '/' || pg_relation_filepath('broken')"
                " FROM current_setting('data_directory') AS d"
            ).fetchone()
    assert row is not None
    for path in row:
        _damage(Path(path))
    with damageable:
        database = {**damageable.conninfo("postgres")}
        found = await findings(database, "integrity.corruption")
        assert {f.subject for f in found if f.severity is Severity.FAILURE} == {
            "public.hurt_id",
            "public.broken",
        }
        assert all(f.evidence and f.evidence.answer for f in found)
        counted = await findings(database, "server.checksums")
        with psycopg.connect(**database) as connection:
            checksums = connection.execute("SHOW data_checksums").fetchone()
        assert server_major(database) in (15, 18)
        assert ("FAILURE" in {f.severity.name for f in counted}) == (checksums == ("on",))
