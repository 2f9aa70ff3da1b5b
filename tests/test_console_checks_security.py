"""Security checks: a careless database where they object, and MediaNest's own where they do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Database, run_sql, server_major

from console.checks import run
from console.findings import Finding, Severity
from console.local_server import LocalServer
from console.profile import bundled
from console.target import Target

ROLES = (
    "careless_super",
    "careless_maker",
    "careless_expired",
    "careless_reader",
    "careless_owner",
)


@pytest.fixture
def careless(empty_db: Database) -> Iterator[Database]:
    run_sql(
        empty_db,
        "CREATE ROLE careless_super LOGIN SUPERUSER",
        "CREATE ROLE careless_maker LOGIN CREATEROLE BYPASSRLS REPLICATION",
        "CREATE ROLE careless_expired LOGIN VALID UNTIL '2020-01-01'",
        "CREATE ROLE careless_reader LOGIN IN ROLE pg_execute_server_program",
        "CREATE ROLE careless_owner",
        "ALTER ROLE careless_maker SET row_security = off",
        "ALTER ROLE careless_reader SET session_replication_role = replica",
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "CREATE TABLE open_to_all (id int PRIMARY KEY, secret text)",
        "GRANT SELECT, UPDATE ON open_to_all TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "CREATE FUNCTION as_owner() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "CREATE TABLE forgotten (id int PRIMARY KEY, owner text)",
        "CREATE POLICY mine ON forgotten USING (owner = current_user)",
        "CREATE TABLE shut (id int PRIMARY KEY)",
        "ALTER TABLE shut ENABLE ROW LEVEL SECURITY",
        "CREATE VIEW around AS SELECT * FROM shut",
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO careless_reader",
    )
    yield empty_db
    run_sql(
        empty_db,
        "REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM careless_reader",
        *(f"DROP ROLE {role}" for role in ROLES),
    )


async def findings(database: Database, *only: str) -> list[Finding]:
    report = await run(Target("test", database), bundled("medianest"), only=only or ["security"])
    return [finding for result in report.results for finding in result.findings]


EXPECTED = (
    ("security.superusers", "careless_super"),
    ("security.role-rights", "careless_maker"),
    ("security.memberships", "careless_reader"),
    ("security.password-expiry", "careless_expired"),
    ("security.public-schema", "public"),
    ("security.public-grants", "open_to_all"),
    ("security.default-privileges", ""),
    ("security.definer-search-path", "as_owner"),
    ("security.definer-rights", "as_owner"),
    ("security.server-functions", "pg_read_file"),
    ("security.row-security", "forgotten"),
    ("security.row-security", "shut"),
    ("security.role-settings", "careless_reader"),
)


async def test_a_careless_database_is_told_so(careless: Database) -> None:
    told: dict[str, str] = {}
    for finding in await findings(careless):
        answer = finding.evidence.answer if finding.evidence else ""
        words = f"{finding.subject} {finding.message} {answer} {finding.fix} "
        told[finding.check] = told.get(finding.check, "") + words
    for check, name in EXPECTED:
        assert name in told.get(check, "(nothing)"), (check, name, told.get(check))
    if server_major(careless) >= 15:
        assert "around" in told["security.definer-views"]


async def test_a_careful_database_is_not(medianest_db: Database) -> None:
    found = [f for f in await findings(medianest_db) if f.severity is not Severity.INFO]
    quiet = {check for check, _ in EXPECTED} - {"security.public-schema"}
    assert not {f.check for f in found} & quiet, found
    assert Severity.UNKNOWN not in {f.severity for f in found}


async def test_passwords_of_an_old_form_are_found_and_never_shown(
    server: LocalServer, empty_db: Database
) -> None:
    hashed = "md5" + "0123456789abcdef" * 2
    run_sql(empty_db, f"CREATE ROLE careless_old LOGIN PASSWORD '{hashed}'")
    try:
        found = await findings(empty_db, "security.passwords")
        assert any("careless_old" in f"{f.subject} {f.evidence}" for f in found)
        assert hashed not in repr(found)
    finally:
        run_sql(empty_db, "DROP ROLE careless_old")
    assert not any(
        "careless_old" in repr(f) for f in await findings(empty_db, "security.passwords")
    )


async def test_what_a_plain_role_may_not_see_is_unknown(
    medianest_db: Database, limited_role: object
) -> None:
    limited: Database = limited_role(medianest_db)  # type: ignore[operator]
    unknown = {f.check for f in await findings(limited) if f.severity is Severity.UNKNOWN}
    assert {"security.passwords", "security.hba-methods", "security.medianest-passwords"} <= unknown


async def test_medianests_own_secrets_are_judged_by_form_alone(medianest_db: Database) -> None:
    sound = await findings(
        medianest_db, "security.medianest-passwords", "security.medianest-tokens"
    )
    assert not [f for f in sound if f.severity is Severity.FAILURE]
    run_sql(
        medianest_db,
        "UPDATE users SET password_hash = 'plain words' WHERE id = (SELECT min(id) FROM users)",
        "UPDATE session_tokens SET token_hash = 'short'"
        " WHERE id = (SELECT min(id) FROM session_tokens)",
    )
    found = await findings(
        medianest_db, "security.medianest-passwords", "security.medianest-tokens"
    )
    failed = {f.check for f in found if f.severity is Severity.FAILURE}
    assert failed == {"security.medianest-passwords", "security.medianest-tokens"}
    assert "plain words" not in repr(found)
