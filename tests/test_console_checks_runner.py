"""The runner: one fault does not take the rest along, and nothing is called well unseen."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest
from conftest import Database, run_sql

from console.check_settings import CheckName, CheckSettings
from console.checks import CHECKS, Progress, run
from console.errors import ConnectionFailed, SettingsError
from console.findings import Severity
from console.profile import bundled
from console.profile_choice import choose
from console.target import Target, from_dsn


async def test_a_lock_on_one_table_leaves_only_that_unknown(medianest_db: Database) -> None:
    with psycopg.connect(**medianest_db) as holder:
        holder.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        report = await run(Target("test", medianest_db), bundled("medianest"), only=["readiness"])
        assert time.monotonic() - started < 5
    by_check = {result.id: result for result in report.results}
    assert by_check["schema.tables"].summary == "11/11 tables"
    assert by_check["schema.columns"].severity is Severity.OK
    assert by_check["schema.primary-keys"].severity is Severity.OK
    assert by_check["schema.foreign-keys"].severity is Severity.OK
    assert by_check["migrations.history"].severity is Severity.OK
    unknown = {(f.check, f.subject) for f in report.findings if f.severity is Severity.UNKNOWN}
    assert unknown == {
        ("schema.indexes", f"public.{name}")
        for name in ("sessions_expires_idx", "sessions_session_token_key", "sessions_user_id_idx")
    }
    assert not any(f.severity is Severity.FAILURE for f in report.findings)


async def test_a_lock_on_a_catalog_makes_what_needs_it_unknown_and_hangs_nothing(
    medianest_db: Database,
) -> None:
    with psycopg.connect(**medianest_db) as holder:
        holder.execute("LOCK TABLE pg_catalog.pg_constraint IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        report = await run(Target("test", medianest_db), bundled("medianest"), only=["readiness"])
        assert time.monotonic() - started < 10
    states = {result.id: result.severity for result in report.results}
    assert states["schema.tables"] is Severity.UNKNOWN
    assert states["speed.connection"] is Severity.OK
    assert report.verdict is Severity.UNKNOWN


async def test_orphans_that_take_too_long_are_unknown_only_where_they_matter(
    medianest_db: Database,
) -> None:
    run_sql(medianest_db, "ALTER TABLE sessions DISABLE TRIGGER ALL")
    with psycopg.connect(**medianest_db) as holder:
        holder.execute("LOCK TABLE sessions, accounts IN ACCESS EXCLUSIVE MODE")
        report = await run(Target("test", medianest_db), bundled("medianest"), only=None)
    unknown = [f for f in report.findings if f.check == "data.orphans"]
    assert [(f.severity, f.subject) for f in unknown] == [
        (Severity.UNKNOWN, "sessions_user_id_fkey on public.sessions")
    ]


async def test_progress_tells_each_check_before_and_after(medianest_db: Database) -> None:
    told: list[Progress] = []
    await run(
        Target("test", medianest_db), bundled("medianest"), only=["schema"], on_progress=told.append
    )
    assert [(p.number, p.total, p.result is not None) for p in told] == [
        (number, 5, ended) for number in range(1, 6) for ended in (False, True)
    ]


async def test_cancelling_ends_the_servers_work_too(medianest_db: Database) -> None:
    run_sql(
        medianest_db,
        "CREATE FUNCTION slow(text) RETURNS text LANGUAGE sql VOLATILE"
        " AS 'SELECT pg_sleep(30)::text'",
        "CREATE TABLE child (a text); INSERT INTO child VALUES ('x')",
        "CREATE VIEW v AS SELECT slow('x') AS id",
    )
    with psycopg.connect(**medianest_db) as holder:
        holder.execute("LOCK TABLE pg_catalog.pg_constraint IN ACCESS EXCLUSIVE MODE")
        task = asyncio.create_task(run(Target("test", medianest_db), bundled("medianest")))
        await asyncio.sleep(0.15)
        task.cancel()
        started = time.monotonic()
        await asyncio.gather(task, return_exceptions=True)
        assert time.monotonic() - started < 5
    assert task.cancelled()


async def test_an_unknown_check_is_refused() -> None:
    with pytest.raises(SettingsError, match="no check 'bogus'"):
        await run(Target("test", {}), None, only=["bogus"])


async def test_a_check_that_needs_a_profile_says_so() -> None:
    with pytest.raises(SettingsError, match="compares with a profile"):
        await run(Target("test", {}), None, only=["schema.tables"])


async def test_no_server_is_an_error_not_a_report() -> None:
    with pytest.raises(ConnectionFailed):
        await run(from_dsn("postgresql://u@127.0.0.1:1/x"), None)


async def test_advice_stands_beside_the_verdict_unless_it_fails(medianest_db: Database) -> None:
    run_sql(medianest_db, "CREATE TABLE keyless (note json)")
    settings = CheckSettings(off=(CheckName("settings"),))
    target = Target("test", medianest_db)
    report = await run(target, bundled("medianest"), settings=settings)
    assert report.verdict in (Severity.OK, Severity.INFO)
    assert report.headline.startswith("READY")
    assert "advice: " in report.headline
    assert "table.primary-key" in {finding.check for finding in report.advice}
    named = await run(target, bundled("medianest"), only=["table.primary-key"])
    assert named.verdict is Severity.WARNING, "what was asked for decides"
    failing = await run(target, bundled("medianest"))  # these servers run without fsync
    assert failing.verdict is Severity.FAILURE
    failures = {f.check for f in failing.deciding if f.severity is Severity.FAILURE}
    assert failures == {"settings.durability"}


def test_every_check_has_an_id_of_its_own_and_one_sentence() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert all(check.meaning.endswith(".") for check in CHECKS)
    deciding = {check.category for check in CHECKS if check.by_default and not check.is_advice}
    assert deciding == {"schema", "data", "migrations", "speed"}


async def test_medianest_is_recognised_and_other_databases_are_not(
    medianest_db: Database, empty_db: Database
) -> None:
    found = await choose(Target("test", medianest_db))
    assert found.profile is not None
    assert found.profile.name == "medianest"
    assert "_prisma_migrations" in found.reason
    assert (await choose(Target("test", empty_db))).profile is None


async def test_the_operators_profile_comes_before_the_targets(
    medianest_db: Database, tmp_path: object
) -> None:
    target = Target("test", medianest_db, profile="medianest")
    assert (await choose(target)).reason == "the target's own"
    assert (await choose(target, "medianest")).reason == "named by --profile"


async def test_an_application_in_another_schema_is_checked_there(medianest_db: Database) -> None:
    run_sql(medianest_db, 'ALTER SCHEMA public RENAME TO "My App"', "CREATE SCHEMA public")
    target = Target("test", medianest_db, schema="My App")
    choice = await choose(target)
    assert choice.profile is not None
    report = await run(target, choice.profile, only=["schema", "data", "migrations"])
    assert report.verdict is Severity.OK, report.findings[0]
