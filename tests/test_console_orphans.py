"""count_orphans agrees with what PostgreSQL itself would refuse to validate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import pytest
from conftest import Database, run_sql

from console.errors import ActionRefused, PrivilegeMissing
from console.orphans import count_orphans
from console.session import Limits, connect
from console.target import Target
from queries.catalog import Constraint, read_catalog


async def counted(database: Database, name: str, limit: int = 1000) -> int:
    async with connect(Target("test", database)) as connection:
        return await count_orphans(connection, await _key(connection, name), limit)


async def _key(connection: psycopg.AsyncConnection, name: str) -> Constraint:
    catalog = await read_catalog(connection)
    return next(c for c in catalog.foreign_keys if c.name == name)


def unchecked(database: Database, *statements: str) -> None:
    """Write past the foreign keys, as a restore with disabled triggers does."""
    run_sql(
        database,
        f"BEGIN; SET session_replication_role = replica; {'; '.join(statements)}; COMMIT",
    )


async def test_a_sound_database_has_none(medianest_db: Database) -> None:
    assert await counted(medianest_db, "sessions_user_id_fkey") == 0


async def test_orphans_behind_disabled_triggers_are_counted(medianest_db: Database) -> None:
    unchecked(medianest_db, "DELETE FROM users WHERE id = (SELECT user_id FROM sessions LIMIT 1)")
    with psycopg.connect(**medianest_db) as connection:
        expected = connection.execute(
            "SELECT count(*) FROM sessions WHERE user_id NOT IN (SELECT id FROM users)"
        ).fetchone()
    assert expected is not None
    assert expected[0] > 0
    assert await counted(medianest_db, "sessions_user_id_fkey") == expected[0]


async def test_counting_stops_at_the_limit(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (parent_id int)",
        "INSERT INTO child SELECT generate_series(1, 100)",
        "ALTER TABLE child ADD CONSTRAINT k FOREIGN KEY (parent_id) REFERENCES parent NOT VALID",
    )
    assert await counted(empty_db, "k", limit=7) == 7


@pytest.mark.parametrize(("match", "expected"), [("SIMPLE", 1), ("FULL", 2)])
async def test_nulls_in_a_composite_key_follow_its_match_type(
    empty_db: Database, match: str, expected: int
) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b))",
        "CREATE TABLE child (x int, y int)",
        "INSERT INTO parent VALUES (1, 2)",
        "INSERT INTO child VALUES (1, 2), (2, 1), (1, NULL), (NULL, NULL)",
        "ALTER TABLE child ADD CONSTRAINT k FOREIGN KEY (x, y) REFERENCES parent (a, b)"
        f" MATCH {match} NOT VALID",
    )
    assert await counted(empty_db, "k") == expected
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        run_sql(empty_db, "ALTER TABLE child VALIDATE CONSTRAINT k")


async def test_a_partitioned_table_is_counted_whole_and_inheritance_is_not(
    empty_db: Database,
) -> None:
    run_sql(
        empty_db,
        "CREATE TABLE parent (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE parent_1 PARTITION OF parent FOR VALUES FROM (1) TO (10)",
        "INSERT INTO parent VALUES (1)",
        "CREATE TABLE child (pid int CONSTRAINT k REFERENCES parent) PARTITION BY LIST (pid)",
        "CREATE TABLE child_1 PARTITION OF child DEFAULT",
        "CREATE TABLE plain (pid int CONSTRAINT p REFERENCES parent)",
        "CREATE TABLE heir () INHERITS (plain)",
        "INSERT INTO heir VALUES (99)",
    )
    unchecked(empty_db, "INSERT INTO child VALUES (1), (2), (3), (NULL)")
    assert await counted(empty_db, "k") == 2
    assert await counted(empty_db, "p") == 0


async def test_strange_names_self_reference_and_another_schema(empty_db: Database) -> None:
    run_sql(
        empty_db,
        'CREATE SCHEMA "100%"',
        """CREATE TABLE "100%"."we""ird;Tab le" ("Ünï %s" int PRIMARY KEY, "b%%oss" int,
           CONSTRAINT self FOREIGN KEY ("b%%oss") REFERENCES "100%"."we""ird;Tab le")""",
        'CREATE TABLE other (r int CONSTRAINT across REFERENCES "100%"."we""ird;Tab le")',
    )
    unchecked(
        empty_db,
        """INSERT INTO "100%"."we""ird;Tab le" VALUES (1, 1), (2, 77), (3, NULL)""",
        "INSERT INTO other VALUES (3), (4), (5)",
    )
    assert await counted(empty_db, "self") == 1
    assert await counted(empty_db, "across") == 2


async def test_the_keys_own_operator_and_collation_decide(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE EXTENSION citext",
        "CREATE TABLE parent (name citext PRIMARY KEY)",
        "CREATE TABLE child (name citext CONSTRAINT k REFERENCES parent)",
        "INSERT INTO parent VALUES ('Anna')",
        "INSERT INTO child VALUES ('ANNA')",
        'CREATE TABLE plain (name text COLLATE "C" PRIMARY KEY)',
        'CREATE TABLE posix (name text COLLATE "POSIX" CONSTRAINT c REFERENCES plain)',
        "CREATE TABLE wide (id bigint PRIMARY KEY)",
        "CREATE TABLE narrow (id int CONSTRAINT w REFERENCES wide)",
    )
    unchecked(empty_db, "INSERT INTO posix VALUES ('x')", "INSERT INTO narrow VALUES (5)")
    assert await counted(empty_db, "k") == 0
    assert await counted(empty_db, "c") == 1
    assert await counted(empty_db, "w") == 1


async def test_a_role_that_may_not_read_is_told_the_grants(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    with pytest.raises(PrivilegeMissing) as refused:
        await counted(limited, "sessions_user_id_fkey")
    assert "GRANT SELECT ON public.sessions TO limited;" in refused.value.hint
    assert "GRANT SELECT ON public.users TO limited;" in refused.value.hint
    run_sql(medianest_db, *refused.value.hint.split("; "))
    assert await counted(limited, "sessions_user_id_fkey") == 0


async def test_column_grants_are_enough_and_row_security_is_not_passed_over(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(medianest_db)
    run_sql(
        medianest_db,
        "GRANT USAGE ON SCHEMA public TO limited",
        "GRANT SELECT (user_id) ON sessions TO limited",
        "GRANT SELECT (id) ON users TO limited",
    )
    assert await counted(limited, "sessions_user_id_fkey") == 0
    run_sql(medianest_db, "ALTER TABLE sessions ENABLE ROW LEVEL SECURITY")
    with pytest.raises(PrivilegeMissing, match="Row security"):
        await counted(limited, "sessions_user_id_fkey")


async def test_a_key_that_was_dropped_meanwhile_is_refused(medianest_db: Database) -> None:
    async with connect(Target("test", medianest_db)) as connection:
        key = await _key(connection, "sessions_user_id_fkey")
        run_sql(medianest_db, "ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey")
        with pytest.raises(ActionRefused):
            await count_orphans(connection, key)


async def test_cancelling_the_task_cancels_the_statement_on_the_server(
    medianest_db: Database,
) -> None:
    """The count waits for a lock, so that it certainly runs when it is cancelled."""
    patient = Limits(statement_ms=0, lock_ms=0)
    async with connect(Target("test", medianest_db), limits=patient) as connection:
        key = await _key(connection, "sessions_user_id_fkey")
        with psycopg.connect(**medianest_db) as holder:
            holder.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
            task = asyncio.create_task(count_orphans(connection, key))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            answer = await (await connection.execute("SELECT 1")).fetchone()
            assert answer == (1,)


@pytest.mark.parametrize("server", ["pg18"], indirect=True)
async def test_a_period_must_be_covered(empty_db: Database) -> None:
    run_sql(
        empty_db,
        "CREATE EXTENSION btree_gist",
        "CREATE TABLE parent (id int, at int4range, PRIMARY KEY (id, at WITHOUT OVERLAPS))",
        "CREATE TABLE child (id int, at int4range,"
        " CONSTRAINT k FOREIGN KEY (id, PERIOD at) REFERENCES parent (id, PERIOD at))",
        "INSERT INTO parent VALUES (1, '[1,5)'), (1, '[5,9)')",
        "INSERT INTO child VALUES (1, '[3,7)')",
    )
    unchecked(empty_db, "INSERT INTO child VALUES (1, '[3,12)'), (2, '[3,4)')")
    assert await counted(empty_db, "k") == 2
