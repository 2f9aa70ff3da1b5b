"""Sessions: what is seen of them, what may be done about them, what is kept of them."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import builders
import psycopg
import pytest
from builders import NOW, backend
from conftest import run_sql
from sessions import stage, until

from console.errors import ActionRefused, ConnectionFailed, PrivilegeMissing, QueryFailed
from console.monitor.activity import (
    Sample,
    is_idle,
    key_of,
    read_activity,
    read_query,
    running_seconds,
    summary,
    urgency,
)
from console.monitor.guard import Guard, rest_ticks
from console.monitor.intervene import cancel, carry_out, terminate
from console.monitor.io import IoSample, lines, read_io, remarks
from console.monitor.progress import bar
from console.monitor.recording import Gap, Heading, Recorder, read_recording
from console.monitor.sampled import SampledTimings
from console.monitor.waits import Group, Look, WaitHistory, look
from console.session import Session
from console.target import Target
from queries.activity import Backend
from queries.operations import OPERATIONS, Operation

Database = dict[str, Any]


@pytest.fixture
async def session(empty_db: Database) -> AsyncIterator[Session]:
    session = Session(Target("test", empty_db))
    yield session
    await session.close()


async def found(session: Session, name: str, state: str) -> Backend:
    """The session of that application, once it is in that state."""
    sample = await until(
        lambda: read_activity(session),
        lambda s: any(b.application == name and b.state == state for b in s.backends),
    )
    return next(b for b in sample.backends if b.application == name)


async def test_sessions_are_seen_with_their_state_and_ours_is_not(
    session: Session, empty_db: Database
) -> None:
    with stage(empty_db) as enter:
        enter("worker").starts("SELECT pg_sleep(20)")
        enter("forgetful").does("BEGIN", "SELECT 1")
        enter("quiet")
        worker = await found(session, "worker", "active")
        sample = await read_activity(session)
        states = {b.application: b.state for b in sample.backends if b.kind == "client backend"}
        assert states["forgetful"] == "idle in transaction"
        assert states["quiet"] == "idle"
        assert "medianest-console" not in states
        assert (worker.wait_class, worker.wait_event) == ("Timeout", "PgSleep")
        assert worker.client == "local"
        assert worker.transaction_seconds is not None
        assert 0 <= (running_seconds(worker) or 0) < 20
        counted = summary(b for b in sample.backends if b.database == empty_db["dbname"])
        assert (counted.active, counted.idle_in_transaction, counted.idle) == (1, 1, 1)


async def test_the_whole_statement_is_read_on_demand(session: Session, empty_db: Database) -> None:
    with stage(empty_db) as enter:
        enter("worker").starts(f"SELECT pg_sleep(20) /* {'x' * 800} */")
        worker = await found(session, "worker", "active")
        assert worker.query is not None
        assert len(worker.query) == 400
        whole = await read_query(session, worker)
        assert whole is not None
        assert len(whole) > 800
        gone = dataclasses.replace(worker, started_at=NOW)
        assert await read_query(session, gone) is None


async def test_canceling_ends_the_statement_and_keeps_the_session(
    session: Session, empty_db: Database
) -> None:
    with stage(empty_db) as enter:
        actor = enter("worker").starts("SELECT pg_sleep(60)")
        worker = await found(session, "worker", "active")
        intervention = cancel(worker)
        assert str(worker.pid) in intervention.statement
        assert "backend_start" in intervention.statement
        await carry_out(session.target, intervention)
        assert actor.joined()
        assert isinstance(actor.errors[0], psycopg.errors.QueryCanceled)
        await found(session, "worker", "idle")


async def test_terminating_ends_the_session(session: Session, empty_db: Database) -> None:
    with stage(empty_db) as enter:
        actor = enter("forgetful").does("BEGIN", "SELECT 1")
        idle = await found(session, "forgetful", "idle in transaction")
        await carry_out(session.target, terminate(idle))
        sample = await until(
            lambda: read_activity(session),
            lambda s: all(b.application != "forgetful" for b in s.backends),
        )
        assert sample.backends is not None
        with pytest.raises(psycopg.OperationalError):
            actor.does("SELECT 1")


async def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(
    session: Session, empty_db: Database
) -> None:
    with stage(empty_db) as enter:
        actor = enter("worker").starts("SELECT pg_sleep(60)")
        worker = await found(session, "worker", "active")
        assert worker.started_at is not None
        earlier = dataclasses.replace(worker, started_at=worker.started_at - timedelta(seconds=1))
        for plan in (cancel, terminate):
            with pytest.raises(ActionRefused, match="somebody else"):
                await carry_out(session.target, plan(earlier))
        assert not actor.joined(0.2), "it still runs"


async def test_a_role_without_the_right_is_told_which_grant_it_needs(
    session: Session, empty_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(empty_db)
    with stage(empty_db) as enter:
        actor = enter("worker").starts("SELECT pg_sleep(60)")
        worker = await found(session, "worker", "active")
        with pytest.raises(PrivilegeMissing, match="pg_signal_backend"):
            await carry_out(Target("limited", limited), cancel(worker))
        assert not actor.joined(0.2)


def test_nothing_is_canceled_where_nothing_runs() -> None:
    with pytest.raises(ActionRefused, match="Terminate"):
        cancel(backend(state="idle in transaction"))


async def test_hidden_sessions_are_counted_and_cannot_be_signalled(
    empty_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    limited = limited_role(empty_db)
    run_sql(empty_db, "REVOKE pg_read_all_stats FROM limited")
    seen = Session(Target("test", limited))
    try:
        with stage(empty_db) as enter:
            enter("secret").does("BEGIN")
            sample = await read_activity(seen)
            hidden = [b for b in sample.backends if b.is_hidden]
            assert hidden
            assert summary(sample.backends).hidden == len(hidden)
            with pytest.raises(ActionRefused, match="hidden"):
                terminate(hidden[0])
    finally:
        await seen.close()
        run_sql(empty_db, "GRANT pg_read_all_stats TO limited")


def test_the_key_of_a_session_tells_a_reused_pid_apart() -> None:
    assert key_of(backend(pid=7)) != key_of(backend(pid=7, started_at=NOW))


def test_who_waits_comes_first_and_who_sits_idle_last() -> None:
    waiting = backend(pid=1, state="active", wait_class="Lock", blocked_by=(9,))
    working = backend(pid=2, state="active", wait_class=None)
    forgetful = backend(pid=3, state="idle in transaction")
    idle = backend(pid=4)
    assert [b.pid for b in sorted([idle, forgetful, working, waiting], key=urgency)] == [1, 2, 3, 4]
    assert [is_idle(b) for b in (idle, forgetful, working)] == [True, False, False]


def test_a_client_wait_of_an_idle_session_is_no_waiting() -> None:
    assert summary([backend(wait_class="Client", wait_event="ClientRead")]).waiting == 0


# Waits


def test_waits_are_counted_in_four_groups() -> None:
    working = {"state": "active"}
    sample = [
        backend(**working, wait_class=None, wait_event=None),
        backend(**working, wait_class="IO", wait_event="DataFileRead"),
        backend(**working, wait_class="LWLock", wait_event="WALWrite"),
        backend(**working, wait_class="IPC", wait_event="MessageQueueSend"),
        backend(state="idle", wait_class="Client", wait_event="ClientRead"),
    ]
    taken = look(sample, NOW)
    assert [taken.in_group(group) for group in Group] == [1, 1, 1, 1]


def test_the_wait_history_averages_over_looks_and_forgets_the_old() -> None:
    history = WaitHistory()
    busy = look([backend(state="active", wait_class="IO", wait_event="DataFileRead")] * 4, NOW)
    history.add(busy)
    history.add(Look(NOW + timedelta(seconds=1), look([], NOW).events))
    assert history.load(Group.IO) == 2.0
    assert [event.sessions for event in history.events()] == [2.0]
    assert history.events()[0].now == 0
    series = history.series(Group.IO, 300)
    assert series[-2:] == [4.0, 0.0]
    history.add(Look(NOW + timedelta(minutes=6), busy.events))
    assert len(history.looks) == 1


# Progress


def operation(**changes: Any) -> Operation:
    made = Operation(
        kind="vacuum",
        pid=1,
        started_at=NOW,
        is_automatic=False,
        database="medianest",
        relation="users",
        command="",
        phase="scanning heap",
        done=25,
        total=100,
        unit="blocks",
        seconds=3.0,
        wait_class=None,
        wait_event=None,
    )
    return dataclasses.replace(made, **changes)


def test_a_bar_tells_phase_step_and_share() -> None:
    made = bar(operation())
    assert (made.fraction, made.step, made.steps) == (0.25, 2, 7)
    assert made.title == "vacuum users"
    assert made.phase == "2/7 scanning heap"
    assert made.amount == "25 of 100 blocks"
    assert bar(operation(is_automatic=True)).title == "autovacuum users"


@pytest.mark.parametrize(
    "unknown", [{"total": 0}, {"total": None}, {"done": None}, {"phase": None}], ids=str
)
def test_a_bar_without_a_total_claims_no_share(unknown: dict[str, Any]) -> None:
    made = bar(operation(**unknown))
    assert made.fraction is None or made.operation.phase is None


def test_a_part_of_a_phase_counts_as_the_phase() -> None:
    made = bar(operation(kind="create index", phase="building index: scanning table"))
    assert made.step == 3
    assert bar(operation(done=200)).fraction == 1.0


async def test_a_real_index_build_and_a_real_copy_are_seen(
    session: Session, empty_db: Database
) -> None:
    run_sql(empty_db, "CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 1000) n")
    with stage(empty_db) as enter:
        enter("old").does("BEGIN", "SELECT 1", "INSERT INTO t VALUES (0)")
        enter("builder").starts("CREATE INDEX CONCURRENTLY built ON t (id)")

        async def operations() -> list[Operation]:
            return await session.fetch(OPERATIONS)

        (build,) = await until(operations, bool)
        assert build.kind == "create index"
        assert bar(build).title == "create index t"
        assert "waiting for writers" in bar(build).phase
    if session.server is None or session.server.major < 14:
        return  # 13 tells no progress of a copy
    with (
        psycopg.connect(**empty_db) as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY t FROM STDIN") as copy,
    ):
        copy.write("1\n" * 20_000)
        (copying,) = await until(operations, bool)
        assert copying.kind == "copy"
        assert bar(copying).title == "copy from t"


# I/O


async def test_io_wal_and_checkpoints_are_read_and_rates_follow(
    session: Session, empty_db: Database
) -> None:
    before = await read_io(session)
    run_sql(
        empty_db,
        "CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 20000) n",
        "CHECKPOINT",
    )
    server = session.server
    assert server is not None
    assert (before.writing.wal_bytes is not None) == (server.major >= 14)

    def moved(seen: IoSample) -> bool:
        """Sessions tell of what they wrote only when they are idle, and not at once."""
        wal = (seen.writing.wal_bytes or 0) > (before.writing.wal_bytes or 0)
        forced = seen.writing.checkpoints_requested > before.writing.checkpoints_requested
        return forced and (wal or server.major < 14)

    now = await until(lambda: read_io(session), moved, seconds=30)
    assert (now.io is not None) == (server.major >= 16)
    assert all((line.read_rate or 0) >= 0 for line in lines(before, now))
    assert [name for name, _text in remarks(before.writing, now.writing)][:1] == ["checkpoints"]


# The guard


async def test_a_slow_question_rests_and_its_last_answer_is_called_stale() -> None:
    seconds = iter([0.0, 0.1, 1.0, 3.0])
    guard = Guard(clock=lambda: next(seconds))
    answers = iter(["quick", "slow"])

    async def question() -> str:
        return next(answers)

    quick = await guard.ask("q", 1.0, question)
    assert (quick.answer, quick.is_stale, quick.remark) == ("quick", False, "")
    slow = await guard.ask("q", 1.0, question)
    assert slow.answer == "slow"
    for _tick in range(rest_ticks(2.0, 1.0)):
        resting = await guard.ask("q", 1.0, question)
        assert resting.is_stale
        assert resting.answer == "slow"
        assert "STALE" in resting.remark


async def test_a_failing_question_keeps_its_last_answer_and_others_go_on() -> None:
    guard = Guard()

    async def good() -> str:
        return "good"

    async def bad() -> str:
        raise QueryFailed("It failed.")

    await guard.ask("q", 1.0, good)
    panel = await guard.ask("q", 1.0, bad)
    assert panel.answer == "good"
    assert panel.is_stale
    assert panel.remark == "It failed."
    assert (await guard.ask("other", 1.0, good)).remark == ""
    assert not (await guard.ask("q", 1.0, good)).is_stale


async def test_a_lost_connection_concerns_the_whole_tab() -> None:
    async def lost() -> str:
        raise ConnectionFailed("Gone.")

    with pytest.raises(ConnectionFailed):
        await Guard().ask("q", 1.0, lost)


# Recordings

HEADING = Heading("medianest @ db:5432", "15.18", "console", NOW)


def samples() -> list[Sample]:
    one = backend(pid=1, state="active", query="SELECT * FROM users WHERE email = 'a@b.c'")
    two = backend(pid=2, state="active", wait_class="Lock", wait_event="relation", blocked_by=(1,))
    return [Sample(NOW, (one,)), Sample(NOW + timedelta(seconds=1), (one, two))]


@pytest.mark.parametrize("name", ["looks.jsonl", "looks.jsonl.z"])
def test_a_recording_gives_back_what_was_seen_without_literals(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with Recorder(path, HEADING) as recorder:
        for sample in samples():
            recorder.add(sample)
        recorder.add_gap(Gap(NOW + timedelta(seconds=2), "The server was gone."))
    assert path.stat().st_mode & 0o777 == 0o600
    recording = read_recording(path)
    assert recording.heading == HEADING
    assert not recording.is_cut
    assert [gap.reason for gap in recording.gaps] == ["The server was gone."]
    first, second = recording.samples
    assert first.at == NOW
    assert first.backends[0].query == "SELECT * FROM users WHERE email = '…'"
    assert dataclasses.replace(second.backends[1], blocked_by=(1,)) == samples()[1].backends[1]


@pytest.mark.parametrize("name", ["looks.jsonl", "looks.jsonl.z"])
def test_a_recorder_that_was_killed_leaves_what_it_had(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    recorder = Recorder(path, HEADING)
    for sample in samples():
        recorder.add(sample)
    content = path.read_bytes()  # as it is on disk before anything is closed
    recorder.close()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(content[:-9])
    assert len(read_recording(cut).samples) == 1
    cut.write_bytes(content)
    assert len(read_recording(cut).samples) == 2


def test_a_recording_ends_at_its_size(tmp_path: Path) -> None:
    path = tmp_path / "looks.jsonl"
    recorder = Recorder(path, HEADING, most_bytes=4000)
    for _ in range(9):
        recorder.add(samples()[0])
    with pytest.raises(ActionRefused, match="reached its size"):
        recorder.add(Sample(NOW, samples()[0].backends * 20))
    assert path.stat().st_size <= 4000
    assert read_recording(path).samples


def test_nothing_is_overwritten_and_nothing_else_is_read(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(ActionRefused, match="already"):
        Recorder(path, HEADING)
    with pytest.raises(ActionRefused, match="not a recording"):
        read_recording(path)
    path.write_text(json.dumps({"format": "something else", "version": 1}))
    with pytest.raises(ActionRefused, match="not a recording"):
        read_recording(path)
    path.write_bytes(b"\x78\x9cnonsense")
    with pytest.raises(ActionRefused, match="damaged"):
        read_recording(path)
    with pytest.raises(ActionRefused, match="cannot be read"):
        read_recording(tmp_path / "absent")


def test_a_small_file_that_unpacks_to_a_huge_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.z"
    path.write_bytes(zlib.compress(b"x" * (80 << 20)))
    with pytest.raises(ActionRefused, match="too long"):
        read_recording(path)


# Sampling


def test_sampled_time_is_that_between_looks_and_a_long_gap_counts_little() -> None:
    sampled = SampledTimings()
    working = backend(state="active", query="SELECT  1 FROM t WHERE a = 5")
    for seconds in (0, 1, 2, 1000):
        sampled.add([working, builders.backend()], NOW + timedelta(seconds=seconds))
    (seen,) = sampled.statements
    assert seen.text == "SELECT ? FROM t WHERE a = ?"
    assert seen.looks == 4
    assert seen.seconds == 12.0
    assert seen.share == 1.0


def test_what_was_not_seen_for_long_is_forgotten() -> None:
    sampled = SampledTimings()
    sampled.add([backend(state="active", query="SELECT old")], NOW)
    sampled.add([], NOW + timedelta(hours=1))
    assert sampled.statements == []
