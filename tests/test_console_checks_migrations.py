"""Applied, failed, running, rolled back, pending: told apart as Prisma means them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from conftest import Database, run_sql

from console.checks import run
from console.checks.migrations import judge
from console.demo.migrations import PRISMA_LOCK
from console.findings import Severity
from console.identifiers import TableName
from console.profile import bundled
from console.report import Report
from console.target import Target
from queries.migrations import MigrationRow

HISTORY = TableName("public", "_prisma_migrations")
START = datetime(2030, 1, 1, tzinfo=UTC)
FAILED = "UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name LIKE '%_init'"


def attempt(name: str, *, finished: bool = True, rolled_back: bool = False) -> MigrationRow:
    later = START + timedelta(seconds=1)
    return MigrationRow(
        name, "0" * 64, START, later if finished else None, later if rolled_back else None, None
    )


async def examined(database: Database) -> Report:
    return await run(Target("test", database), bundled("medianest"), only=["migrations"])


def said(report: Report) -> list[tuple[Severity, str]]:
    return [
        (finding.severity, finding.message)
        for finding in report.findings
        if finding.severity is not Severity.OK
    ]


async def test_a_failed_migration_is_one_failure_with_its_reason(medianest_db: Database) -> None:
    logs = 'A migration failed to apply.\n\nDatabase error:\nERROR: relation "x" exists\n'
    run_sql(medianest_db, FAILED, f"UPDATE _prisma_migrations SET logs = $${logs}$$")
    report = await examined(medianest_db)
    (finding,) = [f for f in report.findings if f.severity is Severity.FAILURE]
    assert "failed" in finding.message
    assert finding.evidence is not None
    assert 'relation "x" exists' in finding.evidence.answer
    assert finding.fix == 'npx prisma migrate resolve --rolled-back "20250704075237_init"'
    assert report.results[0].summary == "2/3 migrations"


async def test_the_same_row_under_prismas_lock_is_a_migration_that_runs(
    medianest_db: Database,
) -> None:
    run_sql(medianest_db, FAILED)
    with psycopg.connect(**medianest_db, autocommit=True) as migrating:
        migrating.execute("SELECT pg_advisory_lock(%(key)s)", {"key": PRISMA_LOCK})
        assert said(await examined(medianest_db)) == [
            (Severity.WARNING, "The migration is running now.")
        ]
    assert said(await examined(medianest_db))[0][0] is Severity.FAILURE


async def test_a_lock_in_another_database_does_not_count(
    medianest_db: Database, server: object
) -> None:
    run_sql(medianest_db, FAILED)
    with psycopg.connect(**{**medianest_db, "dbname": "postgres"}, autocommit=True) as elsewhere:
        elsewhere.execute("SELECT pg_advisory_lock(%(key)s)", {"key": PRISMA_LOCK})
        assert said(await examined(medianest_db))[0][0] is Severity.FAILURE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "UPDATE _prisma_migrations SET rolled_back_at = now()"
            " WHERE migration_name LIKE '%init'",
            "The migration was rolled back and has not been applied again.",
        ),
        (
            "DELETE FROM _prisma_migrations WHERE migration_name LIKE '%init'",
            "The migration is pending: it was never applied here.",
        ),
        (
            "DROP TABLE _prisma_migrations",
            "There is no table _prisma_migrations, so no migration was ever applied by Prisma.",
        ),
    ],
)
async def test_what_is_not_applied_is_a_failure(
    medianest_db: Database, change: str, message: str
) -> None:
    run_sql(medianest_db, change)
    assert said(await examined(medianest_db)) == [(Severity.FAILURE, message)]


async def test_a_migration_nobody_knows_is_information(medianest_db: Database) -> None:
    run_sql(
        medianest_db,
        "INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at)"
        " VALUES ('x', 'y', '20990101000000_new', now())",
    )
    assert said(await examined(medianest_db)) == [
        (Severity.INFO, "The migration is applied but not in the profile.")
    ]


def test_a_rolled_back_attempt_does_not_spoil_a_later_one_that_finished() -> None:
    rows = [attempt("a", finished=False, rolled_back=True), attempt("a")]
    outcome = judge(rows, ("a",), HISTORY, running=False)
    assert outcome.summary == "1/1 migrations"
    assert outcome.findings == ()


def test_a_failed_attempt_beside_a_finished_one_still_blocks_prisma() -> None:
    outcome = judge([attempt("a"), attempt("a", finished=False)], ("a",), HISTORY, running=False)
    assert [finding.severity for finding in outcome.findings] == [Severity.FAILURE]
