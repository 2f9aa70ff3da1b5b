"""Index findings on real servers: what must be found, and what must not be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread

import psycopg
import pytest
from conftest import Database, run_sql

from console import index_health
from console.findings import Finding, Severity
from console.index_health import (
    IndexOverview,
    IndexRecord,
    critical_of,
    index_definition,
    judge_indexes,
    read_indexes,
)
from console.index_rules import Critical
from console.index_use import LIMITS, IndexLimits
from console.profile import bundled
from console.session import Session
from console.target import Target
from queries.catalog import StatisticsSince


async def overview(
    database: Database, critical: Critical | None = None, limits: IndexLimits = LIMITS
) -> IndexOverview:
    session = Session(Target("test", database))
    try:
        return await read_indexes(session, critical, limits)
    finally:
        await session.close()


def of(result: IndexOverview, check: str) -> dict[str, Finding]:
    """Findings of one kind by their subject."""
    return {finding.subject: finding for finding in result.findings if finding.check == check}


def record(result: IndexOverview, name: str) -> IndexRecord:
    return next(record for record in result.records if record.index.name == name)


async def aged(database: Database, days: float, critical: Critical | None = None) -> IndexOverview:
    """The overview as it would be if statistics had begun that long ago."""
    session = Session(Target("test", database))
    try:
        facts = await index_health._read(session)
    finally:
        await session.close()
    now = datetime.now(UTC)
    begun = now - timedelta(days=days)
    return judge_indexes(
        replace(facts, since=StatisticsSince(begun, begun, begun)), critical or {}, now
    )


async def test_medianest_has_its_34_indexes_and_only_known_remarks(medianest_db: Database) -> None:
    result = await overview(medianest_db, critical_of(bundled("medianest")))
    assert len(result.records) == 34
    assert sum(record.is_critical for record in result.records) == 6
    assert not result.not_read
    assert {f.check for f in result.findings} <= {"foreign-key.unindexed", "index.unused"}
    assert set(of(result, "foreign-key.unindexed")) == {
        "public.accounts.accounts_user_id_fkey",
        "public.service_config.service_config_updated_by_fkey",
    }
    email = record(result, "users_email_key")
    assert (email.kind, email.columns, email.state) == ("unique", "email", "valid")
    assert email.bytes is not None
    assert email.size_is_exact


async def test_a_missing_critical_index_comes_with_its_statement(medianest_db: Database) -> None:
    run_sql(medianest_db, "DROP INDEX users_email_key")
    result = await overview(medianest_db, critical_of(bundled("medianest")))
    finding = of(result, "index.missing-critical")["public.users_email_key"]
    assert finding.severity is Severity.FAILURE
    assert result.findings[0] == finding
    run_sql(medianest_db, finding.fix)
    again = await overview(medianest_db, critical_of(bundled("medianest")))
    assert not of(again, "index.missing-critical")


async def test_the_limited_role_sees_the_same_without_an_error(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    result = await overview(limited_role(medianest_db))
    assert len(result.records) == 34
    assert not result.not_read
    bloat = record(result, "users_pkey").bloat
    assert bloat is not None
    assert "may not see" in bloat.reason or "never analyzed" in bloat.reason


async def test_traits_and_definition_of_odd_indexes(empty_db: Database) -> None:
    run_sql(
        empty_db,
        'CREATE TABLE "we""ird;Tab le" (id int PRIMARY KEY, "Ünïcode" text, body jsonb,'
        " r int4range, EXCLUDE USING gist (r WITH &&))",
        'CREATE UNIQUE INDEX "[/b] 100%" ON "we""ird;Tab le" (lower("Ünïcode")) INCLUDE (id)'
        ' WHERE "Ünïcode" IS NOT NULL',
        'CREATE INDEX gin ON "we""ird;Tab le" USING gin (body)',
    )
    result = await overview(empty_db)
    odd = record(result, "[/b] 100%")
    assert odd.traits == ("partial", "expression", "covering")
    assert odd.kind == "unique"
    assert odd.columns == 'lower("Ünïcode")'
    assert record(result, "gin").index.method == "gin"
    assert [r.kind for r in result.records].count("exclusion") == 1
    session = Session(Target("test", empty_db))
    definition = await index_definition(session, odd.index.oid)
    await session.close()
    assert definition is not None
    assert definition.startswith('CREATE UNIQUE INDEX "[/b] 100%" ON public."we""ird;Tab le"')


SAME = [
    ("(a)", "(a)"),
    ("(a, b)", "(a, b)"),
    ("(lower(a))", "(lower(a))"),
    ("(a) WHERE n > 1", "(a) WHERE n > 1"),
    ("(a) INCLUDE (b, n)", "(a) INCLUDE (n, b)"),
    ("USING hash (a)", "USING hash (a)"),
]
DIFFERENT = [
    ("(a)", "(b)"),
    ("(a)", "(a text_pattern_ops)"),
    ("(a)", '(a COLLATE "C")'),
    ("(a)", "(a DESC)"),
    ("(a)", "(a NULLS FIRST)"),
    ("(a)", "(a) WHERE n > 1"),
    ("(a) WHERE n > 1", "(a) WHERE n > 2"),
    ("(lower(a))", "(upper(a))"),
    ("(a, b)", "(b, a)"),
    ("(a)", "USING hash (a)"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
async def test_the_same_index_twice_is_a_duplicate(
    empty_db: Database, first: str, second: str
) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE t (a text, b text, n int)",
        f"CREATE INDEX one ON t {first}",
        f"CREATE INDEX two ON t {second}",
    )
    result = await overview(empty_db)
    assert [*of(result, "index.duplicate")] == ["public.two"]
    run_sql(empty_db, of(result, "index.duplicate")["public.two"].fix)
    assert not of(await overview(empty_db), "index.duplicate")


async def test_indexes_that_differ_in_anything_are_no_duplicates(empty_db: Database) -> None:
    for n, (first, second) in enumerate(DIFFERENT):
        run_sql(
            empty_db,
            f"CREATE TABLE t{n} (a text, b text, n int)",
            f"CREATE INDEX ON t{n} {first}",
            f"CREATE INDEX ON t{n} {second}",
        )
    result = await overview(empty_db)
    assert len(result.records) == 2 * len(DIFFERENT)
    assert not of(result, "index.duplicate")
    assert not of(result, "index.redundant")


async def test_of_duplicates_the_one_that_others_need_is_kept(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE t (id int, CONSTRAINT z_key UNIQUE (id))",
        "CREATE UNIQUE INDEX a_plain ON t (id)",
        "CREATE TABLE child (id int REFERENCES t (id))",
        "CREATE INDEX critical ON child (id)",
        "CREATE INDEX another ON child (id)",
    )
    result = await overview(empty_db, {("public", "critical"): ""})
    assert set(of(result, "index.duplicate")) == {"public.a_plain", "public.another"}


async def test_a_prefix_is_redundant_unless_it_guards_something(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE t (a int, b int, c int)",
        "CREATE INDEX wide ON t (a, b)",
        "CREATE INDEX prefix ON t (a)",
        "CREATE UNIQUE INDEX guard ON t (a) WHERE c = 1",
        "CREATE INDEX not_leading ON t (b)",
        "CREATE INDEX more ON t (a) INCLUDE (c)",
        "CREATE TABLE u (a int PRIMARY KEY, b int)",
        "CREATE INDEX under_primary ON u (a)",
        "CREATE INDEX beyond_primary ON u (a, b)",
    )
    result = await overview(empty_db)
    assert set(of(result, "index.redundant")) == {"public.prefix", "public.under_primary"}


@pytest.fixture
def invalid_db(empty_db: Database) -> Database:
    run_sql(
        empty_db,
        "CREATE TABLE t (a int)",
        "INSERT INTO t VALUES (1), (1)",
        "CREATE INDEX good ON t (a)",
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        run_sql(empty_db, "CREATE UNIQUE INDEX CONCURRENTLY failed ON t (a)")
    return empty_db


async def test_a_failed_build_is_invalid(invalid_db: Database) -> None:
    result = await overview(invalid_db)
    finding = of(result, "index.invalid")["public.failed"]
    assert finding.severity is Severity.WARNING
    assert record(result, "failed").state == "invalid"
    assert record(result, "good").state == "valid"
    run_sql(invalid_db, "DELETE FROM t", finding.fix.splitlines()[0])
    assert not of(await overview(invalid_db), "index.invalid")


async def test_a_failed_build_of_a_critical_index_is_a_failure(invalid_db: Database) -> None:
    result = await overview(invalid_db, {("public", "failed"): ""})
    assert of(result, "index.invalid")["public.failed"].severity is Severity.FAILURE


@contextmanager
def running(database: Database, statement: str, holding: str) -> Iterator[None]:
    """The statement, kept from ending by an open transaction that did `holding`."""
    with (
        psycopg.connect(**database) as holder,
        psycopg.connect(**database, autocommit=True) as builder,
    ):
        holder.execute(holding)
        thread = Thread(target=lambda: builder.execute(statement))
        thread.start()
        try:
            yield
        finally:
            holder.rollback()
            thread.join(timeout=20)
            assert not thread.is_alive()


async def until(database: Database, name: str) -> IndexOverview:
    """The first overview that shows an index of that name."""
    for _attempt in range(100):
        result = await overview(database)
        if any(record.index.name == name for record in result.records):
            return result
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} did not appear")


async def test_a_running_concurrent_build_is_not_invalid(empty_db: Database) -> None:
    run_sql(empty_db, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)")
    statement = "CREATE INDEX CONCURRENTLY slow ON t (a)"
    with running(empty_db, statement, "INSERT INTO t VALUES (2)"):
        result = await until(empty_db, "slow")
        assert not of(result, "index.invalid")
        assert of(result, "index.building")["public.slow"].severity is Severity.INFO
        assert record(result, "slow").state == "building"
    assert record(await overview(empty_db), "slow").state == "valid"


async def test_a_running_rebuild_leaves_nothing_over_and_the_old_index_valid(
    empty_db: Database,
) -> None:
    run_sql(empty_db, "CREATE TABLE t (a int)", "CREATE INDEX i ON t (a)")
    statement = "REINDEX INDEX CONCURRENTLY i"
    with running(empty_db, statement, "INSERT INTO t VALUES (2)"):
        result = await until(empty_db, "i_ccnew")
        assert not of(result, "index.leftover")
        assert record(result, "i").state in ("valid", "rebuilding")


async def test_an_interrupted_rebuild_leaves_over_what_can_be_dropped(empty_db: Database) -> None:
    run_sql(empty_db, "CREATE TABLE t (a int)", "CREATE INDEX i ON t (a)")
    leave_over(empty_db)
    result = await overview(empty_db)
    finding = of(result, "index.leftover")["public.i_ccnew"]
    assert not of(result, "index.invalid")
    run_sql(empty_db, finding.fix)
    assert [r.index.name for r in (await overview(empty_db)).records] == ["i"]


def leave_over(database: Database) -> None:
    """Interrupt REINDEX CONCURRENTLY of index i on table t while it waits for a transaction."""
    with psycopg.connect(**database) as holder:
        holder.execute("INSERT INTO t VALUES (7)")
        with psycopg.connect(**database, autocommit=True) as builder:
            builder.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                builder.execute("REINDEX INDEX CONCURRENTLY i")
        holder.rollback()


async def test_a_build_that_a_role_may_not_see_leaves_it_unknown(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "DROP ROLE IF EXISTS blind",
        "CREATE ROLE blind LOGIN PASSWORD 'blind'",
        "CREATE TABLE t (a int)",
    )
    try:
        with running(
            empty_db, "CREATE INDEX CONCURRENTLY slow ON t (a)", "INSERT INTO t VALUES (2)"
        ):
            await until(empty_db, "slow")
            result = await overview({**empty_db, "user": "blind", "password": "blind"})
            finding = of(result, "index.invalid")["public.slow"]
            assert finding.severity is Severity.UNKNOWN
            assert "pg_read_all_stats" in finding.fix
    finally:
        run_sql(empty_db, "DROP ROLE blind")


PARTITIONED = (
    "CREATE TABLE p (id int, at int, who int) PARTITION BY RANGE (at)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
)


async def test_a_partitioned_index_says_which_parts_it_lacks(empty_db: Database) -> None:
    run_sql(
        empty_db,
        *PARTITIONED,
        "CREATE INDEX whole ON ONLY p (at)",
        "CREATE INDEX part1 ON p1 (at)",
        "ALTER INDEX whole ATTACH PARTITION part1",
    )
    result = await overview(empty_db)
    assert not of(result, "index.invalid")
    message = of(result, "index.incomplete")["public.whole"].message
    assert "p2" in message
    assert "p1" not in message
    assert record(result, "whole").state == "incomplete"
    run_sql(
        empty_db,
        "CREATE INDEX part2 ON p2 (at)",
        "ALTER INDEX whole ATTACH PARTITION part2",
    )
    assert not of(await overview(empty_db), "index.incomplete")


async def test_parts_of_a_used_partitioned_index_are_not_unused(empty_db: Database) -> None:
    run_sql(
        empty_db,
        *PARTITIONED,
        "CREATE INDEX used ON p (at)",
        "CREATE INDEX idle ON p (who)",
        "INSERT INTO p SELECT g, g % 20, g FROM generate_series(1, 1000) AS g",
        "SET enable_seqscan = off; SELECT count(*) FROM p1 WHERE at = 3;"
        " SELECT pg_sleep(1.1); SELECT 1",
    )
    result = await settled(empty_db, "used")
    assert set(of(result, "index.unused")) == {"public.idle"}
    assert record(result, "used").scans == 1


async def settled(database: Database, name: str) -> IndexOverview:
    """Once the server has counted the use of that index (15 and later: within a second)."""
    for _attempt in range(60):
        result = await aged(database, 30)
        if record(result, name).scans:
            return result
        await asyncio.sleep(0.1)
    raise AssertionError(f"no use of {name} was counted")


async def test_unused_needs_a_week_of_statistics(empty_db: Database) -> None:
    run_sql(empty_db, "CREATE TABLE t (a int)", "CREATE INDEX idle ON t (a)")
    early = await aged(empty_db, 6.9)
    assert "Too early" in of(early, "index.unused")[""].message
    late = await aged(empty_db, 7.1)
    assert set(of(late, "index.unused")) == {"public.idle"}


async def test_what_guards_or_supports_is_never_unused(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, r int4range, i int NOT NULL,"
        " EXCLUDE USING gist (r WITH &&))",
        "CREATE UNIQUE INDEX identity ON t (i)",
        "ALTER TABLE t REPLICA IDENTITY USING INDEX identity",
        "CREATE TABLE child (t_id int REFERENCES t, other int)",
        "CREATE INDEX supporting ON child (t_id)",
        "CREATE INDEX idle ON child (other)",
    )
    result = await aged(empty_db, 30)
    assert set(of(result, "index.unused")) == {"public.idle"}
    assert record(result, "supporting").supports == ("child_t_id_fkey",)


async def test_bloat_is_estimated_closely_and_only_where_statistics_are(
    empty_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE t (id int, body text, few int, who name)",
        "INSERT INTO t SELECT g, md5(g::text), g % 7, 'x' FROM generate_series(1, 100000) AS g",
        "CREATE INDEX numbers ON t (id)",
        "CREATE INDEX words ON t (body)",
        "CREATE INDEX merged ON t (few)",
        "CREATE INDEX expression ON t (upper(body))",
        "CREATE INDEX names ON t (who)",
    )
    assert "never analyzed" in _bloat(await overview(empty_db), "numbers")[1]
    run_sql(empty_db, "VACUUM ANALYZE t")
    fresh = await overview(empty_db)
    for name in ("numbers", "words", "merged", "expression"):
        assert _bloat(fresh, name)[0] == pytest.approx(0, abs=0.03)
    assert "name" in _bloat(fresh, "names")[1]
    run_sql(empty_db, "DELETE FROM t WHERE id % 4 <> 0", "VACUUM ANALYZE t")
    emptied = await overview(empty_db)
    for name in ("numbers", "words", "merged", "expression"):
        assert _bloat(emptied, name)[0] == pytest.approx(0.75, abs=0.05)
    assert not of(emptied, "index.bloat"), "a few megabytes are not worth a remark"
    assert "may not see" in _bloat(await overview(limited_role(empty_db)), "numbers")[1]


def _bloat(result: IndexOverview, name: str) -> tuple[float | None, str]:
    bloat = record(result, name).bloat
    assert bloat is not None
    return bloat.share, bloat.reason


async def test_much_bloat_is_a_finding_that_a_rebuild_mends(empty_db: Database) -> None:
    limits = IndexLimits(bloat_bytes=1024**2)
    run_sql(
        empty_db,
        "CREATE TABLE t (id int)",
        "INSERT INTO t SELECT generate_series(1, 100000)",
        "CREATE INDEX i ON t (id)",
        "DELETE FROM t WHERE id % 4 <> 0",
        "VACUUM ANALYZE t",
    )
    finding = of(await overview(empty_db, limits=limits), "index.bloat")["public.i"]
    assert "estimate" in finding.message
    run_sql(empty_db, finding.fix)
    assert not of(await overview(empty_db, limits=limits), "index.bloat")


async def test_a_locked_table_hangs_nothing(medianest_db: Database) -> None:
    with psycopg.connect(**medianest_db) as holder:
        holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        result = await asyncio.wait_for(overview(medianest_db), 5)
    assert len(result.records) == 34
    assert record(result, "users_pkey").state == "valid"
