"""Blocking trees of real sessions: chains, queues, rows, advisory locks, prepared transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sessions import Actor, stage, until

from console.local_server import LocalServer
from console.monitor.activity import read_activity, with_leaders_waits
from console.monitor.locks import Node, blocking_tree, unblocking
from console.session import Session
from console.target import Target
from queries.locks import LOCK_QUEUE

Database = dict[str, Any]
Tree = list[Node]


@pytest.fixture
async def session(empty_db: Database) -> AsyncIterator[Session]:
    session = Session(Target("test", empty_db))
    yield session
    await session.close()


@pytest.fixture
def enter(empty_db: Database) -> Any:
    with stage(empty_db) as enter:
        enter("setup").does(
            "CREATE TABLE t (id int PRIMARY KEY, v int)",
            "INSERT INTO t SELECT n, 0 FROM generate_series(1, 10) n",
        )
        yield enter


async def tree_of(session: Session, waiters: int) -> Tree:
    """The tree, once so many sessions are in it besides the roots."""

    async def read() -> Tree:
        sample = await read_activity(session)
        return blocking_tree(sample.backends, await session.fetch(LOCK_QUEUE))

    return await until(read, lambda nodes: sum(not n.is_root for n in nodes) == waiters)


def shape(nodes: Tree) -> list[tuple[int, str]]:
    """(depth, application) of each line."""
    return [(n.depth, (n.backend.application or "") if n.backend else str(n.who)) for n in nodes]


async def test_a_chain_has_its_first_holder_at_the_root(
    session: Session, enter: Callable[[str], Actor]
) -> None:
    enter("root").does("BEGIN", "UPDATE t SET v = 1 WHERE id = 1")
    middle = enter("middle").does("BEGIN", "UPDATE t SET v = 1 WHERE id = 2")
    middle.starts("UPDATE t SET v = 2 WHERE id = 1")
    await tree_of(session, 1)
    enter("last").starts("UPDATE t SET v = 3 WHERE id = 2")
    nodes = await tree_of(session, 2)
    assert shape(nodes) == [(0, "root"), (1, "middle"), (2, "last")]
    root, waiter, _last = nodes
    assert root.behind == 2
    assert root.waiting is None
    assert waiter.waiting is not None
    assert "row (0," in waiter.waiting.what
    assert " of t" in waiter.waiting.what
    server = session.server
    assert server is not None
    assert waiter.waiting.is_exact == (server.major >= 14)  # 13 does not say since when
    assert waiter.waiting.seconds is not None
    assert 0 <= waiter.waiting.seconds < 60
    assert f"{root.who} is idle in its transaction" in unblocking(root)
    assert "2 sessions" in unblocking(root)


async def test_several_waiters_queue_behind_each_other_for_one_row(
    session: Session, enter: Callable[[str], Actor]
) -> None:
    enter("root").does("BEGIN", "UPDATE t SET v = 1 WHERE id = 1")
    for n, name in enumerate(("one", "two", "three"), 1):
        enter(name).starts("UPDATE t SET v = 2 WHERE id = 1")
        await tree_of(session, n)
    nodes = await tree_of(session, 3)
    assert nodes[0].behind == 3
    assert shape(nodes)[:2] == [(0, "root"), (1, "one")]
    assert {name for _depth, name in shape(nodes)} == {"root", "one", "two", "three"}
    assert all(node.root == nodes[0].who for node in nodes)


async def test_a_reader_behind_a_queued_exclusive_lock_stands_under_it(
    session: Session, enter: Callable[[str], Actor]
) -> None:
    """The soft block: the reader and the holder would get along, the queue is in between."""
    enter("reader").does("BEGIN", "SELECT * FROM t")
    enter("migration").starts("ALTER TABLE t ADD COLUMN w int")
    await tree_of(session, 1)
    enter("victim").starts("SELECT * FROM t")
    nodes = await tree_of(session, 2)
    assert shape(nodes) == [(0, "reader"), (1, "migration"), (2, "victim")]
    assert nodes[1].waiting is not None
    assert nodes[2].waiting is not None
    assert nodes[1].waiting.what == "AccessExclusive on t"
    assert nodes[2].waiting.what == "AccessShare on t"


async def test_two_holders_are_two_roots_and_the_waiter_stands_once(
    session: Session, enter: Callable[[str], Actor]
) -> None:
    enter("one").does("BEGIN", "SELECT * FROM t")
    enter("two").does("BEGIN", "SELECT * FROM t")
    enter("waiter").starts("ALTER TABLE t ADD COLUMN w int")
    nodes = await tree_of(session, 1)
    assert sorted(shape(nodes)) == [(0, "one"), (0, "two"), (1, "waiter")]
    waiter = next(node for node in nodes if node.depth)
    others = {node.who for node in nodes if not node.depth} - {waiter.root}
    assert set(waiter.also_blocked_by) == others


async def test_two_trees_are_kept_apart_the_larger_first(
    session: Session, enter: Callable[[str], Actor]
) -> None:
    enter("small").does("BEGIN", "UPDATE t SET v = 1 WHERE id = 1")
    enter("large").does("BEGIN", "UPDATE t SET v = 1 WHERE id = 2")
    enter("a").starts("UPDATE t SET v = 2 WHERE id = 1")
    enter("b").starts("UPDATE t SET v = 2 WHERE id = 2")
    enter("c").starts("UPDATE t SET v = 2 WHERE id = 2")
    nodes = await tree_of(session, 3)
    assert [n for n in shape(nodes) if n[0] == 0] == [(0, "large"), (0, "small")]


@pytest.mark.parametrize(
    ("key", "shown"), [("42", "42"), ("-7", "-7"), ("1, -2", "(1, -2)")], ids=str
)
async def test_an_advisory_lock_is_named_by_the_key_the_application_gave(
    session: Session, enter: Callable[[str], Actor], key: str, shown: str
) -> None:
    enter("root").does(f"SELECT pg_advisory_lock({key})")
    enter("waiter").starts(f"SELECT pg_advisory_lock({key})")
    nodes = await tree_of(session, 1)
    assert shape(nodes) == [(0, "root"), (1, "waiter")]
    assert nodes[1].waiting is not None
    assert nodes[1].waiting.what == f"advisory lock {shown}"
    assert "Terminating" in unblocking(nodes[0]), "an idle session's lock outlives its transaction"


async def test_a_wait_in_another_database_is_shown_with_its_name(
    server: LocalServer, enter: Callable[[str], Actor], empty_db: Database
) -> None:
    elsewhere = Session(Target("test", {**server.conninfo("postgres")}))
    enter("root").does("BEGIN", "LOCK TABLE t")
    enter("waiter").starts("SELECT * FROM t")
    nodes = await tree_of(elsewhere, 1)
    await elsewhere.close()
    assert nodes[1].waiting is not None
    assert f"of database {empty_db['dbname']}" in nodes[1].waiting.what


async def test_parallel_workers_wait_as_their_leader(
    session: Session, enter: Callable[[str], Actor]
) -> None:
    enter("setup2").does(
        "CREATE TABLE big AS SELECT n AS id FROM generate_series(1, 20000) n",
        "ALTER TABLE big SET (parallel_workers = 2)",
        "CREATE FUNCTION peek(int) RETURNS bigint PARALLEL SAFE LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN (SELECT count(*) FROM t WHERE id = $1); END $$",
        "ANALYZE big",
    )
    enter("root").does("BEGIN", "LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    leader = enter("leader").does(
        "SET parallel_setup_cost = 0",
        "SET parallel_tuple_cost = 0",
        "SET min_parallel_table_scan_size = 0",
        "SET parallel_leader_participation = off",
        "SET max_parallel_workers_per_gather = 2",
    )
    leader.starts("SELECT count(*) FROM big WHERE peek(id) > 100")
    nodes = await tree_of(session, 1)
    sample = await read_activity(session)
    workers = [b for b in sample.backends if b.leader_pid == leader.pid]
    assert workers, "the query ran without workers: the test shows nothing"
    assert shape(nodes) == [(0, "root"), (1, "leader")]
    assert nodes[1].waiting is not None
    assert nodes[1].waiting.what == "AccessShare on t"
    leaders = [b for b in with_leaders_waits(sample.backends) if b.pid == leader.pid]
    assert leaders[0].blocked_by == [nodes[0].who]


@pytest.fixture(scope="module")
def preparing_server(request: pytest.FixtureRequest) -> Any:
    """max_prepared_transactions is 0 by default and needs a start."""
    import shutil
    import tempfile
    from pathlib import Path

    from console.local_server import find_binaries

    directory = Path(tempfile.mkdtemp(prefix="console-prepared-", dir="/tmp"))
    settings = {"max_prepared_transactions": "5", "fsync": "off"}
    server = LocalServer(find_binaries(request.param), directory, settings, tcp_port=0)
    try:
        with server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("preparing_server", [18, 15], indirect=True)
async def test_a_prepared_transaction_is_a_root_and_named_by_its_gid(
    preparing_server: LocalServer,
) -> None:
    database = {**preparing_server.conninfo("postgres")}
    session = Session(Target("test", database))
    with stage(database) as enter:
        holder = enter("holder").does(
            "DROP TABLE IF EXISTS t",
            "CREATE TABLE t (id int PRIMARY KEY, v int)",
            "INSERT INTO t VALUES (1, 0)",
            "BEGIN",
            "UPDATE t SET v = 1",
            "PREPARE TRANSACTION 'it''s left'",
        )
        enter("waiter").starts("UPDATE t SET v = 2")
        nodes = await tree_of(session, 1)
        assert shape(nodes) == [(0, "it's left"), (1, "waiter")]
        assert "COMMIT PREPARED 'it''s left'" in unblocking(nodes[0])
        enter("ddl").starts("ALTER TABLE t ADD COLUMN w int")
        nodes = await tree_of(session, 2)
        assert [n for n in shape(nodes) if n[0] == 0] == [(0, "it's left")]
        holder.does("ROLLBACK PREPARED 'it''s left'")
    await session.close()


def test_a_circle_before_the_server_breaks_it_is_shown_once_and_called_so() -> None:
    import builders

    one = builders.backend(pid=1, state="active", wait_class="Lock", blocked_by=(2,))
    two = builders.backend(pid=2, state="active", wait_class="Lock", blocked_by=(1,))
    behind = builders.backend(pid=3, state="active", wait_class="Lock", blocked_by=(2,))
    nodes = blocking_tree([one, two, behind], [])
    assert sorted(n.who for n in nodes if isinstance(n.who, int)) == [1, 2, 3]
    assert [n.who for n in nodes if n.depth == 0] == [1]
    assert "deadlock" in unblocking(nodes[0])


def test_without_waiters_there_is_no_tree() -> None:
    import builders

    assert blocking_tree([builders.backend(pid=1)], []) == []
