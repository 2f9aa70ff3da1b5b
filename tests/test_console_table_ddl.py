"""A table's DDL makes the same table again: shown by making it, and comparing the catalogs."""

from __future__ import annotations

import doctest
from collections.abc import Iterable
from typing import Any

import psycopg
import pytest
from conftest import Database, run_sql

from console import table_ddl as module
from console.relation_details import TABLE_KINDS, RelationDetails, read_relation
from console.session import Session
from console.table_ddl import LOCKED, TableDdl, table_ddl, table_statements
from console.target import Target
from queries.catalog import RELATIONS, Relation

NEWER = {
    15: ("CREATE TABLE odd.nulls (a int, UNIQUE NULLS NOT DISTINCT (a))",),
    18: (
        'CREATE TABLE odd.virtual (a int CONSTRAINT "a;must" NOT NULL, b int GENERATED ALWAYS'
        " AS (a * 2) VIRTUAL, c int, d int CONSTRAINT here NOT NULL NO INHERIT)",
        "ALTER TABLE odd.virtual ADD CONSTRAINT soon NOT NULL c NOT VALID",
        "ALTER TABLE odd.virtual ADD CONSTRAINT soft CHECK (a > 0) NOT ENFORCED",
        "CREATE TABLE odd.numbered (id bigint GENERATED ALWAYS AS IDENTITY, at date)"
        " PARTITION BY RANGE (at)",
        "CREATE TABLE odd.numbered_1 PARTITION OF odd.numbered DEFAULT",
        "CREATE TABLE odd.periods (id int4range, valid tstzrange,"
        " PRIMARY KEY (id, valid WITHOUT OVERLAPS))",
    ),
}

# What a column, a constraint, an index ... is, free of oids. Column numbers differ once a column
# was dropped, and a child that is attached counts its columns and constraints as its own.
CATALOGS = {
    "tables": """
        SELECT c.oid::regclass, c.relkind, c.relpersistence, c.reloptions, c.relreplident,
               c.relrowsecurity, c.relforcerowsecurity, c.relispartition, pg_get_partkeydef(c.oid),
               pg_get_expr(c.relpartbound, c.oid), c.reloftype::regtype,
               obj_description(c.oid, 'pg_class'),
               (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid),
               ARRAY(SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid
                     ORDER BY inhseqno)
        FROM pg_class c WHERE c.relkind IN ('r', 'p', 'f')""",
    "columns": """
        SELECT a.attrelid::regclass, row_number() OVER (PARTITION BY attrelid ORDER BY attnum),
               a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation,
               a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
               a.attstorage, a.attstattarget, a.attoptions, a.attinhcount > 0,
               a.attislocal OR c.relispartition, col_description(a.attrelid, a.attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f')
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """
        SELECT co.conrelid::regclass, co.conname, co.contype, pg_get_constraintdef(co.oid),
               co.convalidated, co.coninhcount > 0, co.connoinherit AND co.contype IN ('c', 'n'),
               obj_description(co.oid, 'pg_constraint')
        FROM pg_constraint co JOIN pg_class c ON c.oid = co.conrelid""",
    "indexes": """
        SELECT i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisvalid,
               i.indisclustered, i.indisreplident, c.reloptions,
               (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = i.indexrelid),
               obj_description(i.indexrelid, 'pg_class')
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = indrelid
        WHERE t.relkind IN ('r', 'p')""",
    "triggers": """
        SELECT tgrelid::regclass, tgname, pg_get_triggerdef(oid), tgenabled, tgparentid <> 0,
               obj_description(oid, 'pg_trigger')
        FROM pg_trigger WHERE NOT tgisinternal""",
    "policies": """
        SELECT polrelid::regclass, polname, polcmd, polpermissive, polroles::regrole[],
               pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid),
               obj_description(oid, 'pg_policy') FROM pg_policy""",
    "rules": """
        SELECT pg_get_ruledef(r.oid), r.ev_enabled FROM pg_rewrite r
        JOIN pg_class c ON c.oid = ev_class AND relkind = 'r'""",
    "statistics": "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext",
    "sequences": """
        SELECT s.seqrelid::regclass, s.seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin,
               seqcache, seqcycle, d.deptype, d.refobjid::regclass
        FROM pg_sequence s JOIN pg_depend d ON d.objid = s.seqrelid AND d.deptype IN ('a', 'i')""",
}


def catalogs(database: Database) -> dict[str, set[str]]:
    """Every user table in words, to be compared."""
    with psycopg.connect(**database, options="-c search_path=pg_catalog") as connection:
        found = {}
        for name, question in CATALOGS.items():
            rows = connection.execute(question).fetchall()
            found[name] = {repr(row) for row in rows if not str(row[0]).startswith(SYSTEM)}
        return found


SYSTEM = ("pg_", "information_schema.")


async def read_tables(database: Database) -> list[RelationDetails]:
    session = Session(Target("test", database))
    try:
        everything = {"schemas": None, "relation": None}
        relations = await session.fetch(RELATIONS, everything)
        return [await read_relation(session, r) for r in relations if r.kind in TABLE_KINDS]
    finally:
        await session.close()


def parents_first(tables: Iterable[RelationDetails]) -> list[RelationDetails]:
    waiting = list(tables)
    made: list[RelationDetails] = []
    while waiting:
        names = {table.form.qualified for table in waiting}
        ready = [table for table in waiting if not names & set(table.form.parents)]
        made += ready
        waiting = [table for table in waiting if table not in ready]
    return made


def make_again(database: Database, ddl: list[TableDdl]) -> None:
    # The shortest search path, as whoever pastes the DDL may have any.
    with psycopg.connect(
        **database, autocommit=True, options="-c search_path=pg_catalog"
    ) as connection:
        for step in ("create", "foreign_keys"):
            for table in ddl:
                for statement in getattr(table, step):
                    connection.execute(statement.encode())


def drop_tables(database: Database, tables: list[RelationDetails]) -> None:
    with psycopg.connect(**database, autocommit=True) as connection:
        for table in tables:
            connection.execute(f"DROP TABLE IF EXISTS {table.form.qualified} CASCADE".encode())


async def test_every_odd_table_is_made_again_the_same(odd_db: Database) -> None:
    with psycopg.connect(**odd_db, autocommit=True) as connection:
        for major, statements in NEWER.items():
            if connection.info.server_version // 10000 >= major:
                for statement in statements:
                    connection.execute(statement.encode())
    before = catalogs(odd_db)
    tables = parents_first(await read_tables(odd_db))
    assert len(tables) >= 25
    drop_tables(odd_db, tables)
    assert catalogs(odd_db)["tables"] == set()
    make_again(odd_db, [table_statements(table) for table in tables])
    after = catalogs(odd_db)
    for name in CATALOGS:
        assert after[name] == before[name], name


async def test_medianest_is_made_again_the_same_in_an_empty_database(
    medianest_db: Database, empty_db: Database
) -> None:
    tables = await read_tables(medianest_db)
    enums = "CREATE SCHEMA IF NOT EXISTS public"
    run_sql(empty_db, enums)
    make_again(empty_db, [table_statements(table) for table in tables])
    before, after = catalogs(medianest_db), catalogs(empty_db)
    assert len(before["tables"]) >= 12
    for name in CATALOGS:
        assert after[name] == before[name], name


async def test_the_text_is_one_script_that_runs_as_it_stands(odd_db: Database) -> None:
    tables = {table.relation.name: table for table in await read_tables(odd_db)}
    table = tables["guarded"]
    drop_tables(odd_db, [table])
    script = table_ddl(table)
    with psycopg.connect(**odd_db, autocommit=True) as connection:
        connection.execute(script.encode())
    assert script.startswith("-- Owner: postgres\n-- Grant: postgres=")
    assert "\n-- Grant: PUBLIC=r/postgres\n" in script
    assert (
        table_ddl(await read_tables_named(odd_db, "guarded")).splitlines()[-1]
        == (script.splitlines()[-1])
    )


async def read_tables_named(database: Database, name: str) -> RelationDetails:
    return next(t for t in await read_tables(database) if t.relation.name == name)


async def test_a_partition_and_a_child_do_not_repeat_their_parent(odd_db: Database) -> None:
    tables = {table.relation.name: table for table in await read_tables(odd_db)}
    partition = table_statements(tables["events_2024"]).create
    assert partition == (
        "CREATE TABLE odd.events_2024 PARTITION OF odd.events\n"
        "    FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
    )
    child = table_ddl(tables["plain_child"])
    assert "CREATE TABLE odd.plain_child ()\nINHERITS (odd.parent);" in child
    assert "ALTER TABLE odd.plain_child ALTER COLUMN name SET DEFAULT 'plain'::text;" in child


async def test_a_locked_table_says_so_at_once(odd_db: Database) -> None:
    session = Session(Target("test", odd_db))
    with psycopg.connect(**odd_db) as locker:
        locker.execute("LOCK TABLE odd.guarded IN ACCESS EXCLUSIVE MODE")
        relations = await session.fetch(RELATIONS, {"schemas": ["odd"], "relation": None})
        details = await read_relation(session, named(relations, "guarded"))
        view = await read_relation(session, named(relations, "Guarded View"))
    await session.close()
    assert table_ddl(details) == LOCKED
    assert [column.name for column in details.columns] == ["id", "owner", "note"]
    assert view.form.query_locked
    assert view.form.query is None


def named(relations: list[Relation], name: str) -> Relation:
    return next(relation for relation in relations if relation.name == name)


@pytest.mark.parametrize("text", ["it's", "a\\b'c", "%s", "数据\n", ""])
async def test_a_literal_is_read_back_as_it_was(empty_db: Database, text: str) -> None:
    with psycopg.connect(**empty_db) as connection:
        row: Any = connection.execute(f"SELECT {module.literal(text)}".encode()).fetchone()
    assert row == (text,)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(module).failed == 0
