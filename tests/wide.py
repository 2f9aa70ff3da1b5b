"""A cluster with a database of 10,000 tables and 30,000 indexes, where cost by size shows."""

from __future__ import annotations

import psycopg
from conftest import Database, run_sql

TABLES = 10_000
INDEXES = 30_000

_STEP = 500
"""Tables made in one transaction: each takes a handful of locks."""


def make_wide(database: Database) -> None:
    """Empty tables of six columns, with a primary key, two more indexes and a check; analyzed."""
    run_sql(database, "CREATE SCHEMA wide")
    with psycopg.connect(**database, autocommit=True) as connection:
        for first in range(0, TABLES, _STEP):
            connection.execute(
                f"""DO $$ BEGIN FOR n IN {first} .. {first + _STEP - 1} LOOP
                EXECUTE format('CREATE TABLE wide.table_%s (id int PRIMARY KEY, name text,
                    at timestamptz, total numeric DEFAULT 0, kind text, note text,
                    CHECK (total >= 0));
                    CREATE INDEX ON wide.table_%1$s (name);
                    CREATE INDEX ON wide.table_%1$s (kind, at)', n);
                END LOOP; END $$""".encode()
            )
        connection.execute("VACUUM (ANALYZE) pg_class, pg_attribute, pg_index, pg_constraint")
