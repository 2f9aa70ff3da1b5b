"""Actions run what they showed, show how far they are, and say what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import pytest
from conftest import Database, run_sql, server_major

from console.actions import (
    Action,
    Outcome,
    Progress,
    drop_leftover,
    perform,
    reindex_concurrently,
    validate_constraint,
)
from console.errors import ActionRefused, PrivilegeMissing, QueryFailed, TimedOut
from console.session import connect
from console.target import Target
from queries.catalog import Catalog, Constraint, Index, read_catalog


async def catalog(database: Database) -> Catalog:
    async with connect(Target("test", database)) as connection:
        return await read_catalog(connection)


async def index(database: Database, name: str) -> Index:
    return next(i for i in (await catalog(database)).indexes if i.name == name)


async def foreign_key(database: Database, name: str) -> Constraint:
    return next(c for c in (await catalog(database)).foreign_keys if c.name == name)


def one_value(database: Database, query: str) -> object:
    with psycopg.connect(**database) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


async def done(database: Database, action: Action) -> Outcome:
    return await perform(Target("test", database), action)


@pytest.fixture
def indexed(empty_db: Database) -> Database:
    run_sql(
        empty_db,
        'CREATE TABLE "we""ird;Tab le" (a int)',
        'INSERT INTO "we""ird;Tab le" SELECT generate_series(1, 20000)',
        'CREATE INDEX "odd %" ON "we""ird;Tab le" (a)',
        "CREATE TABLE t (a int)",
        "INSERT INTO t SELECT generate_series(1, 1000)",
        "CREATE INDEX i ON t (a)",
    )
    return empty_db


async def test_a_rebuild_gives_the_index_new_storage(indexed: Database) -> None:
    before = one_value(indexed, """SELECT relfilenode FROM pg_class WHERE relname = 'odd %'""")
    action = reindex_concurrently(await index(indexed, "odd %"))
    assert action.statement == 'REINDEX INDEX CONCURRENTLY public."odd %";'
    outcome = await done(indexed, action)
    assert outcome.is_done, outcome.message
    assert "took" in outcome.message
    after = one_value(indexed, """SELECT relfilenode FROM pg_class WHERE relname = 'odd %'""")
    assert after != before


class Holding:
    """An open transaction that keeps a concurrent rebuild waiting, and what is told meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.told: list[Progress] = []

    async def start(self, action: Action, stop: asyncio.Event) -> asyncio.Task[Outcome]:
        self.holder = await psycopg.AsyncConnection.connect(**self._database)
        await self.holder.execute("INSERT INTO t VALUES (1)")
        target = Target("test", self._database)
        task = asyncio.create_task(perform(target, action, self.told.append, stop))
        for _attempt in range(200):
            if any("waits for process" in progress.detail for progress in self.told):
                return task
            await asyncio.sleep(0.05)
        raise AssertionError(f"it never waited: {self.told}")

    async def release(self) -> None:
        await self.holder.rollback()
        await self.holder.close()


async def test_progress_names_whom_it_waits_for_and_then_it_ends(indexed: Database) -> None:
    action = reindex_concurrently(await index(indexed, "i"))
    holding = Holding(indexed)
    task = await holding.start(action, asyncio.Event())
    pid = holding.holder.info.backend_pid
    assert any(f"waits for process {pid} " in progress.text for progress in holding.told)
    assert holding.told[-1].seconds >= 0
    await holding.release()
    outcome = await asyncio.wait_for(task, 20)
    assert outcome.is_done
    assert outcome.leftovers == ()


async def test_stopping_says_what_is_left_and_the_drop_removes_it(indexed: Database) -> None:
    action = reindex_concurrently(await index(indexed, "i"))
    holding, stop = Holding(indexed), asyncio.Event()
    task = await holding.start(action, stop)
    stop.set()
    outcome = await asyncio.wait_for(task, 20)
    await holding.release()
    assert outcome.is_canceled
    assert not outcome.is_done
    (drop,) = outcome.leftovers
    assert drop.statement == "DROP INDEX CONCURRENTLY public.i_ccnew;"
    leftover = await index(indexed, "i_ccnew")
    assert drop_leftover(leftover).statement == drop.statement
    with pytest.raises(ActionRefused, match="left-over"):
        reindex_concurrently(leftover)
    assert (await done(indexed, drop)).is_done
    assert [i.name for i in (await catalog(indexed)).indexes] == ["i", "odd %"]


async def test_leaving_the_app_cancels_the_statement_on_the_server(indexed: Database) -> None:
    action = reindex_concurrently(await index(indexed, "i"))
    holding = Holding(indexed)
    task = await holding.start(action, asyncio.Event())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    running = one_value(
        indexed,
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'REINDEX%' AND state = 'active'",
    )
    await holding.release()
    assert running == 0


async def test_a_drop_is_refused_while_the_table_is_being_indexed(indexed: Database) -> None:
    action = reindex_concurrently(await index(indexed, "i"))
    holding, stop = Holding(indexed), asyncio.Event()
    task = await holding.start(action, stop)
    unfinished = await index(indexed, "i_ccnew")
    outcome = await done(indexed, drop_leftover(unfinished))
    assert isinstance(outcome.error, ActionRefused)
    await holding.release()
    assert (await asyncio.wait_for(task, 20)).is_done


async def test_only_leftovers_can_be_dropped(indexed: Database) -> None:
    run_sql(indexed, "CREATE INDEX looks_ccnew ON t (a)")
    for name in ("i", "looks_ccnew"):
        with pytest.raises(ActionRefused):
            drop_leftover(await index(indexed, name))


async def test_what_is_no_longer_the_same_is_refused(indexed: Database) -> None:
    action = reindex_concurrently(await index(indexed, "i"))
    run_sql(indexed, "ALTER INDEX i RENAME TO j", "CREATE INDEX i ON t (a)")
    outcome = await done(indexed, action)
    assert isinstance(outcome.error, ActionRefused)
    run_sql(indexed, "DROP INDEX j")
    assert isinstance((await done(indexed, action)).error, ActionRefused)


async def test_without_the_rights_the_owner_is_named(
    indexed: Database, limited_role: Callable[[Database], Database]
) -> None:
    action = reindex_concurrently(await index(indexed, "i"))
    outcome = await done(limited_role(indexed), action)
    assert isinstance(outcome.error, PrivilegeMissing)
    assert "GRANT postgres TO limited" in outcome.error.hint


async def test_an_exclusion_index_cannot_be_rebuilt_concurrently(empty_db: Database) -> None:
    run_sql(empty_db, "CREATE TABLE t (r int4range, CONSTRAINT x EXCLUDE USING gist (r WITH &&))")
    found = await index(empty_db, "x")
    with pytest.raises(ActionRefused):
        reindex_concurrently(found)


async def test_a_partitioned_index_is_rebuilt_part_by_part(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE p (a int) PARTITION BY RANGE (a)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE INDEX i ON p (a)",
    )
    before = one_value(empty_db, "SELECT relfilenode FROM pg_class WHERE relname = 'p1_a_idx'")
    outcome = await done(empty_db, reindex_concurrently(await index(empty_db, "i")))
    after = one_value(empty_db, "SELECT relfilenode FROM pg_class WHERE relname = 'p1_a_idx'")
    if server_major(empty_db) == 13:
        assert "not yet implemented" in outcome.message
        return
    assert outcome.is_done, outcome.message
    assert after != before


@pytest.fixture
def unvalidated(empty_db: Database) -> Database:
    run_sql(
        empty_db,
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (pid int)",
        "INSERT INTO child VALUES (41)",
        "ALTER TABLE child ADD CONSTRAINT k FOREIGN KEY (pid) REFERENCES parent NOT VALID",
    )
    return empty_db


async def test_validation_fails_on_orphans_and_names_one(unvalidated: Database) -> None:
    action = validate_constraint(await foreign_key(unvalidated, "k"))
    outcome = await done(unvalidated, action)
    assert isinstance(outcome.error, QueryFailed)
    assert "(pid)=(41)" in outcome.message
    assert not (await foreign_key(unvalidated, "k")).is_validated


async def test_validation_of_sound_rows(unvalidated: Database) -> None:
    action = validate_constraint(await foreign_key(unvalidated, "k"))
    run_sql(unvalidated, "INSERT INTO parent VALUES (41)")
    assert (await done(unvalidated, action)).is_done
    found = await foreign_key(unvalidated, "k")
    assert found.is_validated
    with pytest.raises(ActionRefused):
        validate_constraint(found)


async def test_validation_waits_for_a_lock_only_so_long(
    unvalidated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console import actions

    monkeypatch.setitem(actions._LOCK_WAIT_MS, actions.Kind.VALIDATE, 200)
    action = validate_constraint(await foreign_key(unvalidated, "k"))
    with psycopg.connect(**unvalidated) as holder:
        holder.execute("LOCK TABLE child IN ACCESS EXCLUSIVE MODE")
        outcome = await done(unvalidated, action)
    assert isinstance(outcome.error, TimedOut)
    assert "nothing was changed" in outcome.message
