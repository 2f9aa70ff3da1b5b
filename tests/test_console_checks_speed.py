"""Connections, statements and how many fit: measured, bounded, and never taken for granted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from conftest import Database, run_sql, server_major

from console.checks import run
from console.findings import Finding, Severity
from console.local_server import LocalServer, find_binaries
from console.profile import ProfileLimits, bundled
from console.report import Report
from console.target import Target

DEFAULTS = ProfileLimits()


async def examined(database: Database, check: str, limits: ProfileLimits = DEFAULTS) -> Report:
    profile = replace(bundled("medianest"), limits=limits)
    return await run(Target("test", database), profile, only=[check])


def finding(report: Report) -> Finding:
    return report.findings[0]


async def test_a_slow_connection_is_a_warning_with_every_time(medianest_db: Database) -> None:
    report = await examined(medianest_db, "speed.connection", ProfileLimits(connection_ms=0.001))
    assert finding(report).severity is Severity.WARNING
    evidence = finding(report).evidence
    assert evidence is not None
    assert evidence.answer.count(",") == 4


async def test_slow_statements_are_a_warning_without_their_literals(medianest_db: Database) -> None:
    run_sql(
        medianest_db,
        "CREATE ROLE leak PASSWORD 'hunter2'",
        "SELECT pg_sleep(0.3), 'hunter2'",
        "DROP ROLE leak",
    )
    report = await examined(medianest_db, "speed.queries", ProfileLimits(mean_query_ms=0.001))
    found = finding(report)
    assert found.severity is Severity.WARNING
    assert found.evidence is not None
    assert "pg_sleep($1)" in found.evidence.answer
    assert "hunter2" not in repr(report)


async def test_statements_are_found_in_another_schema(medianest_db: Database) -> None:
    run_sql(
        medianest_db,
        "DROP EXTENSION pg_stat_statements",
        'CREATE SCHEMA "Odd ""schema"""',
        'CREATE EXTENSION pg_stat_statements SCHEMA "Odd ""schema"""',
    )
    report = await examined(medianest_db, "speed.queries")
    assert finding(report).severity is Severity.OK
    assert "mean of" in report.results[0].summary


async def test_an_extension_that_was_not_created_is_unknown_until_its_fix_ran(
    medianest_db: Database,
) -> None:
    run_sql(medianest_db, "DROP EXTENSION pg_stat_statements")
    report = await examined(medianest_db, "speed.queries")
    assert finding(report).severity is Severity.UNKNOWN
    run_sql(medianest_db, finding(report).fix)
    assert finding(await examined(medianest_db, "speed.queries")).severity is Severity.OK


async def test_an_older_extension_is_a_warning_and_a_too_old_one_unknown(
    medianest_db: Database,
) -> None:
    too_old = [("1.7", Severity.UNKNOWN)]
    older = [("1.8", Severity.WARNING)] if server_major(medianest_db) > 13 else []
    for version, severity in older + too_old:
        run_sql(
            medianest_db,
            "DROP EXTENSION pg_stat_statements",
            f"CREATE EXTENSION pg_stat_statements VERSION '{version}'",
        )
        report = await examined(medianest_db, "speed.queries")
        assert finding(report).severity is severity
        run_sql(medianest_db, finding(report).fix)
        healed = await examined(medianest_db, "speed.queries")
        assert finding(healed).severity is Severity.OK


async def test_each_missing_right_is_told_with_its_own_grant(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    run_sql(
        medianest_db,
        "DROP EXTENSION pg_stat_statements",
        "CREATE SCHEMA closed",
        "CREATE EXTENSION pg_stat_statements SCHEMA closed",
        "REVOKE SELECT ON closed.pg_stat_statements FROM PUBLIC",
        "REVOKE SELECT ON closed.pg_stat_statements FROM pg_read_all_stats",
    )
    fixes = []
    for _ in range(2):
        report = await examined(limited, "speed.queries")
        assert finding(report).severity is Severity.UNKNOWN
        fixes.append(finding(report).fix)
        run_sql(medianest_db, fixes[-1])
    assert fixes == [
        "GRANT USAGE ON SCHEMA closed TO limited;",
        "GRANT SELECT ON closed.pg_stat_statements TO limited;",
    ]
    assert finding(await examined(limited, "speed.queries")).severity is Severity.OK


@pytest.mark.slow
async def test_a_library_that_is_not_preloaded_is_told_even_where_the_extension_is(
    server_directory: Path,
) -> None:
    with LocalServer(find_binaries(18), server_directory) as server:
        database = server.conninfo("postgres")
        run_sql(database, "CREATE EXTENSION pg_stat_statements")
        report = await run(Target("test", database), None, only=["speed.queries"])
    assert finding(report).severity is Severity.UNKNOWN
    assert "not preloaded" in finding(report).message
    assert "shared_preload_libraries" in finding(report).fix


async def test_too_few_slots_are_counted_and_every_connection_is_closed(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    run_sql(medianest_db, "ALTER ROLE limited CONNECTION LIMIT 8")
    try:
        report = await examined(limited, "speed.concurrency")
    finally:
        run_sql(medianest_db, "ALTER ROLE limited CONNECTION LIMIT -1")
    # One of the eight is the session that checks.
    assert report.results[0].summary == "7/20 connections at once"
    assert finding(report).severity is Severity.FAILURE
    assert await sessions_left(medianest_db) == 0


async def test_more_connections_than_the_server_has_is_a_finding_not_a_crash(
    medianest_db: Database,
) -> None:
    report = await examined(medianest_db, "speed.concurrency", ProfileLimits(connections=150))
    worked = int(report.results[0].summary.partition("/")[0])
    assert 50 <= worked <= 99
    evidence = finding(report).evidence
    assert evidence is not None
    assert "too many clients" in evidence.answer
    assert await sessions_left(medianest_db) == 0


async def test_cancelling_leaves_no_session_behind(medianest_db: Database) -> None:
    profile = replace(bundled("medianest"), limits=ProfileLimits(connections=60))
    task = asyncio.create_task(
        run(Target("test", medianest_db), profile, only=["speed.concurrency"])
    )
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert await sessions_left(medianest_db) == 0


async def sessions_left(database: Database) -> int:
    """The console's sessions in this database, once the server had time to see them go."""
    left = -1
    with psycopg.connect(**database, autocommit=True) as connection:
        for _ in range(100):
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name = 'medianest-console' AND datname = current_database()"
            ).fetchone()
            left = row[0] if row is not None else -1
            if left == 0:
                break
            await asyncio.sleep(0.05)
    return left
