"""Databases that nobody made for the console: whatever is said of them must be true."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest
from conftest import Database
from psycopg.conninfo import make_conninfo

from console.checks import CHECKS, run
from console.findings import Severity
from console.target import Target

EVERY_CATEGORY = sorted({check.category for check in CHECKS} - {"settings"})
"""Without the server's settings: these servers are unsafe on purpose."""


async def troubles(database: Database) -> dict[str, set[str]]:
    """What is worse than a note, by check; a check that broke would be unknown."""
    report = await run(Target("test", database), None, only=EVERY_CATEGORY)
    found: dict[str, set[str]] = {}
    for finding in report.findings:
        if finding.severity not in (Severity.OK, Severity.INFO):
            found.setdefault(finding.check, set()).add(finding.subject)
    return found


def of_the_server(found: dict[str, set[str]]) -> set[str]:
    return {
        check for check in found if check.partition(".")[0] in ("security", "server", "storage")
    }


@pytest.mark.slow
async def test_a_shop_is_left_in_peace(empty_db: Database) -> None:
    with psycopg.connect(**empty_db, autocommit=True) as connection:
        connection.execute(Path(__file__).with_name("shop_schema.sql").read_bytes())
        connection.execute("CREATE EXTENSION amcheck")
        connection.execute("CREATE EXTENSION pg_stat_statements")
    found = await troubles(empty_db)
    assert set(found) - of_the_server(found) == set(), found


@pytest.fixture
def pgbench_db(empty_db: Database) -> Database:
    """What pgbench -i makes, with its foreign keys, by the program of the newest server here."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    if not programs:
        pytest.skip("no pgbench here")
    dsn = make_conninfo(**{k: v for k, v in empty_db.items() if k != "password"})
    subprocess.run(
        [programs[-1], "--initialize", "--scale=1", "--foreign-keys", "--quiet", dsn],
        check=True,
        capture_output=True,
        env={"PGPASSWORD": str(empty_db.get("password", ""))},
    )
    return empty_db


@pytest.mark.slow
async def test_pgbench_is_told_only_what_is_true(pgbench_db: Database) -> None:
    with psycopg.connect(**pgbench_db, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION amcheck")
        connection.execute("CREATE EXTENSION pg_stat_statements")
    found = await troubles(pgbench_db)
    told = {check: found[check] for check in set(found) - of_the_server(found)}
    assert told.pop("table.primary-key") == {"public.pgbench_history"}
    assert told.pop("foreign-key.unindexed") == {
        "public.pgbench_accounts.pgbench_accounts_bid_fkey"
    }
    assert not told
