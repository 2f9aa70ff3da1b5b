"""Whatever single part of MediaNest is changed: one finding names it, and its fix heals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

import psycopg
import pytest
from conftest import Database, run_sql
from test_console_checks_faults import examined, heal, troubles

from console.findings import Severity

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Mutation:
    """SQL that changes one part, the check that must see it, and a name it must give."""

    statement: LiteralString
    check: str
    part: str


_MUTATIONS = {
    "indexes dropped": """
        SELECT format('DROP INDEX %I', c.relname), 'schema.indexes', c.relname
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE NOT i.indisprimary AND i.indrelid::regclass::text NOT LIKE '%prisma%'
          AND c.relnamespace = 'public'::regnamespace""",
    "foreign keys dropped": """
        SELECT format('ALTER TABLE %I DROP CONSTRAINT %I', conrelid::regclass::text, conname),
               'schema.foreign-keys', conname
        FROM pg_constraint WHERE contype = 'f'""",
    "foreign keys that delete otherwise": """
        SELECT format('ALTER TABLE %I DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s',
                      conrelid::regclass::text, conname,
                      regexp_replace(pg_get_constraintdef(oid), 'ON DELETE [A-Z ]+', '')
                      || ' ON DELETE NO ACTION'),
               'schema.foreign-keys', conname
        FROM pg_constraint WHERE contype = 'f'""",
    "columns nullable or not": """
        SELECT format('ALTER TABLE %I ALTER %I %s NOT NULL', table_name, column_name,
                      CASE is_nullable WHEN 'YES' THEN 'SET' ELSE 'DROP' END),
               'schema.columns', table_name || '.' || column_name
        FROM information_schema.columns c
        WHERE table_schema = 'public' AND table_name NOT LIKE '%prisma%'
          AND table_name IN (SELECT tablename FROM pg_tables)
          AND NOT EXISTS (SELECT FROM information_schema.key_column_usage k
                          JOIN pg_constraint p ON p.conname = k.constraint_name
                          WHERE p.contype = 'p' AND k.table_name = c.table_name
                            AND k.column_name = c.column_name)""",
    "columns of another length": """
        SELECT format('ALTER TABLE %I ALTER %I TYPE varchar(2000)', table_name, column_name),
               'schema.columns', table_name || '.' || column_name
        FROM information_schema.columns c
        WHERE table_schema = 'public' AND data_type = 'text' AND table_name NOT LIKE '%prisma%'
          AND table_name IN (SELECT tablename FROM pg_tables)
          AND column_name NOT IN ('id', 'user_id', 'updated_by')""",
    "columns without their default": """
        SELECT format('ALTER TABLE %I ALTER %I DROP DEFAULT', table_name, column_name),
               'schema.columns', table_name || '.' || column_name
        FROM information_schema.columns c
        WHERE table_schema = 'public' AND column_default IS NOT NULL
          AND table_name NOT LIKE '%prisma%'
          AND table_name IN (SELECT tablename FROM pg_tables)""",
}


def mutations(database: Database, kind: str) -> list[Mutation]:
    """One for each part of that kind that the database has."""
    with psycopg.connect(**database) as connection:
        rows = connection.execute(_MUTATIONS[kind]).fetchall()
    return [Mutation(*row) for row in rows]


@pytest.mark.parametrize("kind", _MUTATIONS)
async def test_each_change_gives_one_finding_that_names_it_and_heals(
    kind: str, medianest_db: Database
) -> None:
    found = mutations(medianest_db, kind)
    assert len(found) >= 8
    for mutation in found:
        try:
            run_sql(medianest_db, mutation.statement)
        except psycopg.errors.NotNullViolation:
            continue  # the sample data has such rows
        seen = troubles(await examined(medianest_db))
        assert len(seen) == 1, (mutation, seen)
        assert seen[0].severity is Severity.FAILURE, mutation
        assert seen[0].check == mutation.check
        assert mutation.part in seen[0].subject
        heal(medianest_db, seen[0])
        assert troubles(await examined(medianest_db)) == [], mutation
