"""All checks of a database of ten thousand tables, as the command runs them.

pytest -m benchmark -s tests/benchmarks/test_checks_of_many_tables.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime

import psycopg
import pytest
from conftest import Database, run_sql, server_major
from measuring import Sample, record
from psycopg.conninfo import make_conninfo
from test_console_schema import make_many_tables

ROUNDS = 5
SECTION = "Ten thousand tables"
TABLES = 10_000

_KEYS = (
    "DO $$ BEGIN FOR n IN {first} .. {last} LOOP EXECUTE format('ALTER TABLE many.t%s"
    " ADD parent int REFERENCES many.t%s', n, n - 1); END LOOP; END $$"
)
_LONGEST = """
    SELECT max(s.max_exec_time) / 1000
    FROM pg_stat_statements AS s
    JOIN pg_database AS d ON d.oid = s.dbid
    WHERE d.datname = current_database()
"""


@pytest.mark.benchmark
def test_every_check_of_ten_thousand_tables(empty_db: Database) -> None:
    """Its catalogs are as the tables were made: autovacuum, which is off, has analyzed none."""
    run_sql(empty_db, "CREATE EXTENSION pg_stat_statements")
    make_many_tables(empty_db, TABLES)
    for first in range(1, TABLES, 400):
        run_sql(empty_db, _KEYS.format(first=first, last=min(first + 399, TABLES - 1)))
    took, commands, longest = [], [], []
    for _round in range(ROUNDS):
        run_sql(empty_db, "SELECT pg_stat_statements_reset()")
        command, checks = _check(empty_db)
        took.append(checks)
        commands.append(command)
        with psycopg.connect(**empty_db) as connection:
            (seconds,) = connection.execute(_LONGEST).fetchone() or (0.0,)
        longest.append(float(seconds))
    major = f"PostgreSQL {server_major(empty_db)}"
    whole, statement = Sample(tuple(took)), Sample(tuple(longest))
    words = f"{TABLES:,} tables, {2 * TABLES:,} indexes, {TABLES - 1:,} foreign keys"
    met = record(
        SECTION, f"all checks, {major}", whole.median, 10, unit="s", ours=whole.words("s"),
        beside=words,
    )  # fmt: skip
    record(
        SECTION, f"the whole command with its report, {major}", Sample(tuple(commands)).median,
        None, unit="s", ours=Sample(tuple(commands)).words("s"),
    )  # fmt: skip
    met &= record(
        SECTION, f"their longest statement, {major}", max(longest), 5, unit="s",
        ours=statement.words("s"),
    )  # fmt: skip
    assert met


def _check(database: Database) -> tuple[float, float]:
    """Seconds of the whole command, and of the checks by the report's own beginning and end."""
    command = [sys.executable, "-m", "console", "check", "--profile", "medianest"]
    command += ["--dsn", make_conninfo(**database), "--format", "json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    report = json.loads(done.stdout)
    found = report["findings"]
    unknown = [finding for finding in found if finding["severity"] == "unknown"]
    assert not unknown, unknown[0]
    began_at, ended_at = (datetime.fromisoformat(report[key]) for key in ("started", "finished"))
    return seconds, (ended_at - began_at).total_seconds()
