"""Asking the server for plans: what it runs, what it refuses, and that nothing is changed by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database, run_sql

from console.errors import ActionRefused, ConsoleError, QueryFailed, TimedOut
from console.plans import explain as explaining
from console.plans.explain import ConfirmationNeeded, Explained, Options, explain
from console.plans.judge import Judgement, judge
from console.plans.words import called_names, plannable, spaced
from console.target import Target

RUN = Options(analyze=True, timeout_s=5)


def target(database: Database) -> Target:
    return Target("test", database)


@pytest.fixture
def shop(empty_db: Database) -> Database:
    run_sql(
        empty_db,
        "CREATE TABLE item (id serial PRIMARY KEY, name text, made date, price numeric)",
        "INSERT INTO item (name, made, price) SELECT 'item ' || n, '2030-01-01', n"
        " FROM generate_series(1, 200) AS n",
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END'",
        "CREATE TRIGGER item_shout BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION shout()",
        "CREATE TABLE part (id int PRIMARY KEY, item_id int REFERENCES item ON DELETE CASCADE)",
        "CREATE SEQUENCE ticket",
        "CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql VOLATILE"
        " AS 'BEGIN PERFORM pg_advisory_lock(7); RETURN 1; END'",
        "ANALYZE",
    )
    return empty_db


def value(database: Database, question: str) -> Any:
    with psycopg.connect(**database, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def major_of(database: Database) -> int:
    return int(value(database, "SHOW server_version_num")) // 10_000


async def plan(database: Database, text: str, options: Options = RUN, **more: Any) -> Explained:
    return await explain(target(database), text, options, **more)


# what it does


async def test_a_query_is_run_and_measured(shop: Database) -> None:
    found = await plan(shop, "SELECT count(*) FROM item WHERE price > 100;")
    assert found.plan.is_timed
    assert found.plan.root.actual_rows == 1
    assert found.plan.execution_ms is not None
    assert not found.was_rolled_back
    assert ("public", "item") in found.indexes


async def test_without_analyze_nothing_runs(shop: Database) -> None:
    found = await plan(shop, "DELETE FROM item", Options())
    assert not found.plan.is_analyzed
    assert value(shop, "SELECT count(*) FROM item") == 200


async def test_an_explain_that_was_pasted_along_is_taken_off(shop: Database) -> None:
    for prefix in ("EXPLAIN ", "explain (analyze, buffers off) ", "EXPLAIN ANALYZE VERBOSE "):
        found = await plan(shop, f"{prefix}SELECT 1 FROM item", Options())
        assert found.text == "SELECT 1 FROM item"


async def test_parallel_plans_and_the_roles_own_search_path_are_as_the_application_has_them(
    shop: Database,
) -> None:
    run_sql(
        shop,
        "CREATE SCHEMA shelf CREATE TABLE book (id int)",
        "INSERT INTO shelf.book SELECT generate_series(1, 50000)",
        "ANALYZE shelf.book",
    )
    database = value(shop, "SELECT quote_ident(current_database())")
    with psycopg.connect(**shop, autocommit=True) as connection:
        for setting in (
            "search_path = shelf",
            "parallel_setup_cost = 0",
            "parallel_tuple_cost = 0",
            "min_parallel_table_scan_size = 0",
        ):
            connection.execute(f"ALTER DATABASE {database} SET {setting}".encode())
    found = await plan(shop, "SELECT count(*) FROM book")
    assert any(node.kind == "Gather" for node in found.plan.nodes)
    assert found.plan.settings["search_path"] == "shelf"


async def test_a_search_path_can_be_given(shop: Database) -> None:
    run_sql(shop, "CREATE SCHEMA shelf CREATE TABLE book (id int)")
    found = await plan(shop, "SELECT * FROM book", Options(search_path="shelf"))
    assert found.plan.root.title == "Seq Scan on shelf.book"
    prisma = Target("test", shop, schema="shelf")
    assert (await explain(prisma, "SELECT * FROM book", Options())).plan.nodes


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM item WHERE id = $1 AND name = $2",
        "SELECT * FROM item WHERE id IN ($1,$2,$3)",
        "SELECT * FROM item WHERE made > now() - interval $1",
        "SELECT * FROM item WHERE made > date $1 LIMIT $2",
        "SELECT extract($1 FROM made) FROM item",
        'INSERT INTO "public"."item" ("name","price") VALUES ($1,$2) RETURNING "id"',
        "UPDATE item SET name = $1 WHERE id = $2",
        "SELECT * FROM item WHERE id IN ($1 /*, ... */)",
    ],
)
async def test_a_normalised_statement_gets_a_generic_plan(shop: Database, text: str) -> None:
    found = await plan(shop, text, Options())
    assert found.is_generic
    assert "generic plan" in " ".join(found.notes)
    shown = str([node.properties for node in found.plan.nodes])
    assert "$1" in shown or "LIMIT" in text or "extract" in text


async def test_a_generic_plan_is_not_run_and_values_can_be_filled_in(shop: Database) -> None:
    text = "SELECT * FROM item WHERE id < $1 AND name <> $2"
    with pytest.raises(ActionRefused, match="2 parameters without values"):
        await plan(shop, text)
    found = await plan(shop, text, values=["11", "it's; DROP TABLE item --"])
    assert found.plan.root.actual_rows == 10
    assert not found.is_generic
    with pytest.raises(ActionRefused, match="2 parameters and 1 values"):
        await plan(shop, text, values=["11"])
    none = await plan(shop, text, values=["11", None])
    assert none.plan.root.actual_rows in (0, None)


async def test_a_mistake_says_where_it_is(shop: Database) -> None:
    with pytest.raises(QueryFailed, match=r"(?s)Syntax error.*line 2, column 3"):
        await plan(shop, "SELECT *\n  FORM item", Options())
    with pytest.raises(QueryFailed, match=r"nowhere.*line 1, column 15"):
        await plan(shop, "SELECT * FROM nowhere", Options())


async def test_a_run_is_ended_by_its_timeout(shop: Database) -> None:
    with pytest.raises(TimedOut):
        await plan(shop, "SELECT pg_sleep(30)", Options(analyze=True, timeout_s=0.3))


async def test_a_locked_table_is_not_waited_for(shop: Database) -> None:
    with psycopg.connect(**shop) as blocker:
        blocker.execute("LOCK TABLE item")
        with pytest.raises(TimedOut):
            await plan(shop, "SELECT * FROM item", Options(analyze=True, lock_timeout_s=0.2))


# what writes


WRITING = [
    "DELETE FROM item",
    "UPDATE item SET price = 0",
    "INSERT INTO item (name) VALUES ('x')",
    "WITH gone AS (DELETE FROM item RETURNING *) SELECT count(*) FROM gone",
    "SELECT * FROM (WITH d AS (SELECT 1) SELECT * FROM item FOR UPDATE) q",
    "SELECT * FROM item FOR SHARE",
    "SELECT nextval('ticket')",
    "SELECT * INTO y FROM item",
    "SELECT sly()",
]


async def test_a_writing_statement_runs_only_when_confirmed(shop: Database) -> None:
    for text in WRITING:
        if "INTO y" in text and major_of(shop) < 15:
            with pytest.raises(ActionRefused, match="explain the query alone"):
                await plan(shop, text)
            continue
        with pytest.raises(ConfirmationNeeded) as caught:
            await plan(shop, text)
        assert caught.value.hazards.reasons
        assert "Sequences" in caught.value.hazards.text
    assert value(shop, "SELECT count(*) FROM item WHERE price > 0") == 200
    assert value(shop, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


@pytest.mark.parametrize("text", WRITING)
async def test_the_server_refuses_it_even_if_our_judgement_were_fooled(
    shop: Database, text: str
) -> None:
    fooled = Judgement(text, "select", (), (), frozenset(), 0)
    if "INTO y" in text and major_of(shop) < 15:
        with pytest.raises(ActionRefused, match="explain the query alone"):
            await explaining._measured(target(shop), fooled, RUN, (), writes=False)
    elif "sly" in text or "INTO y" in text:  # what these do ends with the transaction
        await explaining._measured(target(shop), fooled, RUN, (), writes=False)
    else:
        with pytest.raises(ConsoleError, match="read-only"):
            await explaining._measured(target(shop), fooled, RUN, (), writes=False)
    assert value(shop, "SELECT count(*) FROM item WHERE price > 0") == 200
    assert value(shop, "SELECT to_regclass('y') IS NULL")
    assert value(shop, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


async def test_a_confirmed_write_is_measured_and_rolled_back(shop: Database) -> None:
    before = value(shop, "SELECT last_value FROM item_id_seq")
    found = await plan(shop, "INSERT INTO item (name) SELECT 'x' FROM item", write=True)
    assert found.was_rolled_back
    assert found.plan.root.kind == "ModifyTable"
    assert value(shop, "SELECT count(*) FROM item") == 200
    # This is what the dialog warns of.
    assert value(shop, "SELECT last_value FROM item_id_seq") == before + 200


async def test_what_a_rollback_does_not_undo_is_named(shop: Database) -> None:
    with pytest.raises(ConfirmationNeeded) as caught:
        await plan(shop, "UPDATE item SET name = 'x' WHERE id < 50")
    hazards = caught.value.hazards
    assert hazards.tables == ("public.item",)
    assert 20 < hazards.expected_rows < 100
    for words in (
        "item_id_seq",
        "item_shout",
        "public.shout (plpgsql)",
        "part",
        "cascades",
        "vacuum",
    ):
        assert words in hazards.text, words


# what a read-only transaction does not stop


ESCAPES = [
    "SET TRANSACTION READ WRITE",
    "COPY item TO PROGRAM 'touch {mark}'",
    "COPY (SELECT 1) TO PROGRAM 'touch {mark}'",
    "ANALYZE item",
    "VACUUM item",
    "DO 'BEGIN PERFORM 1; END'",
    "CALL sly()",
    "LISTEN x",
    "NOTIFY x",
    "LOCK TABLE item",
    "PREPARE y AS SELECT 1",
    "EXECUTE medianest_plan",
    "CREATE TABLE y AS SELECT 1 AS a",
    "COMMIT",
    "SHOW all",
    "SELECT 1; COMMIT",
    "SELECT 1; SET TRANSACTION READ WRITE; DROP TABLE item",
    "; ; SELECT 1; DROP TABLE item",
    "SELECT 1 /* ; */; DROP TABLE item --",
    "SELECT $$;$$; DROP TABLE item",
    "SELECT pg_terminate_backend({victim})",
    "SELECT pg_cancel_backend({victim})",
    'SELECT pg_catalog."pg_terminate_backend" ({victim})',
    "SELECT pg_terminate_backend/**/({victim})",
    'SELECT U&"pg_\\0074erminate_backend"({victim})',
    "SELECT * FROM pg_terminate_backend({victim})",
    "SELECT query_to_xml('SELECT pg_terminate_backend({victim})', true, true, '')",
    "SELECT pg_switch_wal()",
    "SELECT pg_stat_reset()",
    "SELECT pg_reload_conf()",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT pg_notify('a', 'b')",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT lo_create(0)",
    "SELECT * FROM ends_sessions",
    "SELECT setval('ticket', 5)",
    "SELECT * INTO y FROM item",
]


async def test_no_way_around_read_only(shop: Database, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with psycopg.connect(**shop, autocommit=True) as victim:
        pid = victim.info.backend_pid
        victim.execute(f"CREATE VIEW ends_sessions AS SELECT pg_terminate_backend({pid})".encode())
        wal = value(shop, "SELECT pg_current_wal_lsn()::text")
        for text in ESCAPES:
            with pytest.raises((ActionRefused, QueryFailed)):
                await plan(shop, text.format(mark=mark, victim=pid))
            assert victim.execute("SELECT 1").fetchone() == (1,), text
    assert not mark.exists()
    # A switch leaves the rest of the 16 MB segment empty.
    assert value(shop, f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{wal}')") < 1_000_000
    assert value(shop, "SELECT count(*) FROM item") == 200
    assert value(shop, "SELECT to_regclass('y') IS NULL")
    assert value(shop, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert value(shop, "SELECT last_value FROM ticket") == 1


@pytest.mark.parametrize(
    "text",
    [
        "SET TRANSACTION READ WRITE",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "ANALYZE item",
        "SELECT 1; DROP TABLE item",
        "CREATE TABLE y AS SELECT 1 AS a",
        "COMMIT; DROP TABLE item",
    ],
)
async def test_the_server_takes_one_statement_with_a_plan_and_no_more(
    shop: Database, text: str
) -> None:
    """The wall behind our judgement: what reaches PREPARE."""
    fooled = Judgement(text, "select", (), (), frozenset(), 0)
    with pytest.raises(ConsoleError):
        await explaining._planned(target(shop), fooled, RUN, ())
    assert value(shop, "SELECT count(*) FROM item") == 200
    assert value(shop, "SELECT to_regclass('y') IS NULL")


async def test_our_own_first_query_keeps_read_write_from_being_had(shop: Database) -> None:
    run_sql(
        shop,
        "CREATE FUNCTION opens() RETURNS int LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM set_config('transaction_read_only', 'off', true);"
        " DELETE FROM item; RETURN 1; END$$",
    )
    fooled = Judgement("SELECT opens()", "select", (), (), frozenset(), 0)
    with pytest.raises(QueryFailed, match=r"(?i)read-write mode|read-only"):
        await explaining._measured(target(shop), fooled, RUN, (), writes=False)
    assert value(shop, "SELECT count(*) FROM item") == 200


async def test_a_limited_role_is_told_what_it_may_not(
    shop: Database, limited_role: Callable[[Database], Database]
) -> None:
    with pytest.raises(ConsoleError, match=r"(?i)permission denied"):
        await plan(limited_role(shop), "SELECT * FROM item", Options())


async def test_a_superusers_run_says_so(shop: Database) -> None:
    assert any("superuser" in note for note in (await plan(shop, "SELECT 1")).notes)


# words


def test_words_are_split_as_the_server_splits_them() -> None:
    assert called_names("select f(1), 'g(', \"H\" (2), $$ i( $$ /* j( /* k( */ */ -- l(\n") == {
        "f",
        "h",
    }
    assert called_names("select e'\\'' , m(1)") == {"m"}
    assert spaced("VALUES ($1,$2),('$3')") == "VALUES ($1 ,$2 ),('$3')"
    assert plannable("select date $1, extract($2 from d), 'date $3'") == (
        "select $1::date, extract(epoch from d), 'date $3'"
    )


def test_an_ordinary_query_is_judged_to_read() -> None:
    for text in (
        "SELECT update, delete FROM t WHERE insert = 'DELETE FROM x'",
        "VALUES (1), (2)",
        "TABLE item",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "select lower(name) from item -- ; drop table",
    ):
        judged = judge(text)
        assert (judged.writes, judged.forbidden) == ((), ()), text
