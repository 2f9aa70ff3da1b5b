"""Each fault gives exactly its finding, and the finding's fix heals it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from conftest import Database, run_sql

from console.checks import run
from console.findings import Finding, Severity
from console.profile import bundled
from console.report import Report
from console.target import Target

READINESS = ("readiness",)
STRUCTURE = ("schema", "data", "migrations")


async def examined(database: Database, *only: str) -> Report:
    return await run(Target("test", database), bundled("medianest"), only=only or STRUCTURE)


def troubles(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity is not Severity.OK]


def summary(report: Report, check: str) -> str:
    return next(result.summary for result in report.results if result.id == check)


def heal(database: Database, finding: Finding) -> None:
    """Run the fix as an operator would, statement by statement."""
    run_sql(database, *(part for part in finding.fix.split(";\n") if part.strip()))


async def test_a_sound_medianest_is_ready_and_the_report_counts_everything(
    medianest_db: Database,
) -> None:
    report = await run(Target("test", medianest_db), bundled("medianest"), only=READINESS)
    assert report.verdict is Severity.OK, troubles(report)
    assert summary(report, "schema.tables") == "11/11 tables"
    assert summary(report, "schema.primary-keys") == "10/10 primary keys"
    assert summary(report, "schema.indexes") == "34 indexes (34 expected), 6/6 critical"
    assert summary(report, "schema.foreign-keys") == "8/8 foreign keys"
    assert summary(report, "migrations.history") == "3/3 migrations"
    assert summary(report, "data.orphans") == "no foreign keys with orphans; 8 counted"
    assert summary(report, "speed.concurrency") == "20/20 connections at once"


FAULTS = [
    pytest.param(
        "DROP INDEX users_email_key",
        "schema.indexes",
        "public.users_email_key",
        "33 indexes (34 expected), 5/6 critical",
        id="critical index dropped",
    ),
    pytest.param(
        "DROP INDEX sessions_expires_idx",
        "schema.indexes",
        "public.sessions_expires_idx",
        "33 indexes (34 expected), 6/6 critical",
        id="other index dropped",
    ),
    pytest.param(
        "DROP INDEX sessions_expires_idx;"
        "CREATE INDEX sessions_expires_idx ON sessions (expires DESC)",
        "schema.indexes",
        "public.sessions_expires_idx",
        "34 indexes (34 expected), 6/6 critical",
        id="index redefined",
    ),
    pytest.param(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_email_key'::regclass",
        "schema.indexes",
        "public.users_email_key",
        "34 indexes (34 expected), 5/6 critical",
        id="index invalid",
    ),
    pytest.param(
        "ALTER TABLE accounts DROP CONSTRAINT accounts_user_id_fkey",
        "schema.foreign-keys",
        "accounts_user_id_fkey on public.accounts",
        "7/8 foreign keys",
        id="foreign key dropped",
    ),
    pytest.param(
        "ALTER TABLE accounts DROP CONSTRAINT accounts_user_id_fkey,"
        " ADD CONSTRAINT accounts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)",
        "schema.foreign-keys",
        "accounts_user_id_fkey on public.accounts",
        "7/8 foreign keys",
        id="foreign key's rules changed",
    ),
    pytest.param(
        "ALTER TABLE sessions DISABLE TRIGGER ALL",
        "schema.foreign-keys",
        "public.sessions",
        "8/8 foreign keys",
        id="triggers disabled",
    ),
    pytest.param(
        "ALTER TABLE users DISABLE TRIGGER ALL",
        "schema.foreign-keys",
        "public.users",
        "8/8 foreign keys",
        id="triggers of the target disabled",
    ),
    pytest.param(
        "ALTER TABLE service_status ALTER uptime_percentage TYPE double precision",
        "schema.columns",
        "public.service_status.uptime_percentage",
        "85/86 columns as expected",
        id="type changed",
    ),
    pytest.param(
        "ALTER TABLE users ALTER status TYPE character varying(20)",
        "schema.columns",
        "public.users.status",
        "85/86 columns as expected",
        id="type of a column with a default changed",
    ),
    pytest.param(
        "ALTER TABLE users ALTER name SET NOT NULL",
        "schema.columns",
        "public.users.name",
        "85/86 columns as expected",
        id="nullability changed",
    ),
    pytest.param(
        "ALTER TABLE users ALTER role DROP DEFAULT",
        "schema.columns",
        "public.users.role",
        "85/86 columns as expected",
        id="default dropped",
    ),
    pytest.param(
        "ALTER TABLE users DROP password_hash",
        "schema.columns",
        "public.users.password_hash",
        "85/86 columns as expected",
        id="column dropped",
    ),
    pytest.param(
        "DELETE FROM sessions; ALTER TABLE sessions DROP user_id",
        "schema.columns",
        "public.sessions.user_id",
        "85/86 columns as expected",
        id="column dropped with its index and foreign key",
    ),
    pytest.param(
        "ALTER TABLE error_logs DROP CONSTRAINT error_logs_pkey",
        "schema.primary-keys",
        "public.error_logs",
        "9/10 primary keys",
        id="primary key dropped",
    ),
    pytest.param(
        "DROP TABLE service_status",
        "schema.tables",
        "public.service_status",
        "10/11 tables",
        id="table dropped with its sequence",
    ),
    pytest.param(
        "DROP TABLE error_logs",
        "schema.tables",
        "public.error_logs",
        "10/11 tables",
        id="table dropped with indexes and a foreign key",
    ),
    pytest.param(
        "ALTER TABLE _prisma_migrations DROP CONSTRAINT _prisma_migrations_pkey",
        "schema.indexes",
        "public._prisma_migrations_pkey",
        "33 indexes (34 expected), 6/6 critical",
        id="primary key of the migrations dropped",
    ),
]


@pytest.mark.parametrize(("fault", "check", "subject", "line"), FAULTS)
async def test_a_fault_is_one_failure_and_its_fix_heals_it(
    medianest_db: Database, fault: str, check: str, subject: str, line: str
) -> None:
    run_sql(medianest_db, fault)
    report = await examined(medianest_db)
    found = troubles(report)
    assert [(f.check, f.severity, f.subject) for f in found] == [(check, Severity.FAILURE, subject)]
    assert summary(report, check) == line
    heal(medianest_db, found[0])
    healed = await examined(medianest_db)
    assert healed.verdict is Severity.OK, troubles(healed)
    assert {result.severity for result in healed.results} == {Severity.OK}


async def test_lines_of_groups_that_lack_something_elsewhere_are_not_called_well(
    medianest_db: Database,
) -> None:
    run_sql(medianest_db, "DROP TABLE error_logs")
    report = await examined(medianest_db)
    failed = {result.id for result in report.results if result.severity is Severity.FAILURE}
    assert failed == {
        "schema.tables",
        "schema.columns",
        "schema.primary-keys",
        "schema.indexes",
        "schema.foreign-keys",
    }
    assert len(troubles(report)) == 1


ORPHAN = "INSERT INTO sessions VALUES ('o', 'token', 'nobody', now())"


async def test_orphans_under_triggers_enabled_again_are_one_failure(
    medianest_db: Database,
) -> None:
    run_sql(
        medianest_db,
        f"ALTER TABLE sessions DISABLE TRIGGER ALL; {ORPHAN};"
        " ALTER TABLE sessions ENABLE TRIGGER ALL",
    )
    report = await run(Target("test", medianest_db), bundled("medianest"), only=READINESS)
    (finding,) = troubles(report)
    assert finding.check == "data.orphans"
    assert finding.severity is Severity.FAILURE
    assert finding.subject == "sessions_user_id_fkey on public.sessions"
    assert finding.message == "1 row points to no row of public.users."
    with psycopg.connect(**medianest_db) as connection:
        rows = connection.execute(finding.fix.encode()).fetchall()
    assert [row[0] for row in rows] == ["o"]


async def test_triggers_left_disabled_are_a_failure_beside_their_orphans(
    medianest_db: Database,
) -> None:
    run_sql(medianest_db, f"ALTER TABLE sessions DISABLE TRIGGER ALL; {ORPHAN}")
    found = troubles(await examined(medianest_db))
    assert {finding.check for finding in found} == {"schema.foreign-keys", "data.orphans"}
    assert len(found) == 2


async def test_a_missing_foreign_key_has_its_orphans_counted(medianest_db: Database) -> None:
    run_sql(medianest_db, f"ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey; {ORPHAN}")
    found = troubles(await examined(medianest_db))
    assert {finding.check for finding in found} == {"schema.foreign-keys", "data.orphans"}
    assert {finding.subject for finding in found} == {"sessions_user_id_fkey on public.sessions"}


async def test_very_many_orphans_are_given_as_at_least(medianest_db: Database) -> None:
    run_sql(
        medianest_db,
        "ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey;"
        " INSERT INTO sessions SELECT 'o' || n, 'token' || n, 'nobody', now()"
        " FROM generate_series(1, 1500) AS n",
    )
    report = await examined(medianest_db, "data")
    assert troubles(report)[0].message == "At least 1,000 rows point to no row of public.users."


@pytest.mark.parametrize(("rule", "expected"), [("SIMPLE", 1), ("FULL", 3)])
async def test_nulls_count_as_the_key_says(empty_db: Database, rule: str, expected: int) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b)); INSERT INTO parent VALUES (1, 1);"
        "CREATE TABLE child (a int, b int);"
        "INSERT INTO child VALUES (1, 1), (1, 2), (1, NULL), (NULL, 9), (NULL, NULL);"
        "ALTER TABLE child ADD CONSTRAINT k FOREIGN KEY (a, b) REFERENCES parent"
        f" MATCH {rule} NOT VALID",
    )
    report = await run(Target("test", empty_db), None, only=["data.orphans"])
    rows = "row points" if expected == 1 else "rows point"
    assert troubles(report)[0].message == f"{expected} {rows} to no row of public.parent."


async def test_a_key_that_is_not_valid_is_a_warning_that_validating_ends(
    medianest_db: Database,
) -> None:
    run_sql(
        medianest_db,
        "ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey, ADD CONSTRAINT"
        " sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)"
        " ON UPDATE CASCADE ON DELETE CASCADE NOT VALID",
    )
    (finding,) = troubles(await examined(medianest_db))
    assert (finding.check, finding.severity) == ("schema.foreign-keys", Severity.WARNING)
    heal(medianest_db, finding)
    assert troubles(await examined(medianest_db)) == []


RENAMED = [
    ("ALTER INDEX users_email_key RENAME TO other", "schema.indexes"),
    (
        "ALTER TABLE accounts RENAME CONSTRAINT accounts_user_id_fkey TO other",
        "schema.foreign-keys",
    ),
    ("ALTER TABLE accounts RENAME CONSTRAINT accounts_pkey TO other", "schema.primary-keys"),
]


@pytest.mark.parametrize(("fault", "check"), RENAMED)
async def test_another_name_is_one_warning(medianest_db: Database, fault: str, check: str) -> None:
    run_sql(medianest_db, fault)
    (finding,) = troubles(await examined(medianest_db))
    assert (finding.check, finding.severity) == (check, Severity.WARNING)
    heal(medianest_db, finding)
    assert troubles(await examined(medianest_db)) == []


async def test_what_nobody_expects_is_information_once_each(medianest_db: Database) -> None:
    run_sql(
        medianest_db,
        'CREATE TABLE "we""ird;Tab le" (id int PRIMARY KEY, u text REFERENCES users)',
        "ALTER TABLE users ADD extra int",
        "CREATE INDEX extra_idx ON users (extra)",
        "ALTER TABLE users ADD CONSTRAINT extra_fkey FOREIGN KEY (id) REFERENCES users",
        "CREATE SCHEMA elsewhere CREATE TABLE another (id int)",
    )
    report = await examined(medianest_db, "schema")
    assert report.verdict is Severity.INFO
    assert {(f.check, f.subject) for f in troubles(report)} == {
        ("schema.tables", 'public."we""ird;Tab le"'),
        ("schema.tables", "elsewhere.another"),
        ("schema.columns", "public.users.extra"),
        ("schema.indexes", "public.extra_idx"),
        ("schema.foreign-keys", "extra_fkey on public.users"),
    }


async def test_very_many_extras_are_counted_not_listed(medianest_db: Database) -> None:
    run_sql(medianest_db, *(f"CREATE TABLE extra_{n} (id int)" for n in range(25)))
    found = troubles(await examined(medianest_db, "schema.tables"))
    assert len(found) == 21
    assert found[-1].message == "5 more tables are not in the profile."


async def test_a_view_in_a_tables_place_is_named(medianest_db: Database) -> None:
    run_sql(medianest_db, "DROP TABLE error_logs", "CREATE VIEW error_logs AS SELECT 1")
    (finding,) = troubles(await examined(medianest_db))
    assert finding.message == "The table is missing; there is a view of its name."


async def test_without_a_profile_only_what_needs_none_is_checked(medianest_db: Database) -> None:
    run_sql(
        medianest_db,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_email_key'::regclass",
        "UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name LIKE '%init'",
    )
    report = await run(Target("test", medianest_db), None, only=READINESS)
    assert {result.id for result in report.results} == {
        "schema.indexes",
        "schema.foreign-keys",
        "data.orphans",
        "migrations.history",
        "speed.connection",
        "speed.queries",
        "speed.concurrency",
    }
    assert {(f.check, f.subject) for f in troubles(report)} == {
        ("schema.indexes", "public.users_email_key"),
        ("migrations.history", "20250704075237_init"),
    }


async def test_a_database_without_anything_has_no_migrations_line(empty_db: Database) -> None:
    report = await run(Target("test", empty_db), None, only=["schema", "data", "migrations"])
    assert "migrations.history" not in {result.id for result in report.results}
    assert report.verdict is Severity.OK


async def test_the_limited_role_learns_what_it_may_and_the_grants_for_the_rest(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    run_sql(medianest_db, "DROP INDEX users_email_key")
    report = await examined(limited_role(medianest_db), *READINESS)
    assert summary(report, "schema.tables") == "11/11 tables"
    assert summary(report, "schema.indexes") == "33 indexes (34 expected), 5/6 critical"
    assert summary(report, "schema.foreign-keys") == "8/8 foreign keys"
    assert summary(report, "data.orphans").endswith("0 counted, 8 more enforced by the server")
    found = troubles(report)
    assert {(f.check, f.severity) for f in found} == {
        ("schema.indexes", Severity.FAILURE),
        ("migrations.history", Severity.UNKNOWN),
    }
    run_sql(medianest_db, next(f.fix for f in found if f.severity is Severity.UNKNOWN))
    again = await examined(limited_role(medianest_db), *READINESS)
    assert summary(again, "migrations.history") == "3/3 migrations"


async def test_orphans_asked_for_without_select_are_unknown_with_the_grants(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    found = troubles(await examined(limited, "data.orphans"))
    assert {finding.severity for finding in found} == {Severity.UNKNOWN}
    assert len(found) == 8
    run_sql(medianest_db, *(finding.fix for finding in found))
    assert troubles(await examined(limited, "data.orphans")) == []


async def test_rows_that_a_policy_hides_are_not_taken_for_none(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    run_sql(
        medianest_db,
        f"ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey; {ORPHAN}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited",
        "ALTER TABLE sessions ENABLE ROW LEVEL SECURITY",
    )
    found = [f for f in troubles(await examined(limited)) if f.check == "data.orphans"]
    assert [finding.severity for finding in found] == [Severity.UNKNOWN]
