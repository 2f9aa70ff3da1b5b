"""Going back to a moment on real servers, held against the ledger that the workload kept itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from recovery import Entry, Recovery, Workload, opened, receiving, recovery_server, wait_until

from console.backup.manifest import Verdict
from console.backup.store import Store
from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.local_server import LocalServer
from console.pitr import retention
from console.pitr.base import bases, make_base, verify_base
from console.pitr.drill import any_moment, drill
from console.pitr.moments import moments
from console.pitr.names import lsn
from console.pitr.promoted import write_directory
from console.pitr.setup import set_up
from console.pitr.side import Side, drop, find_side, move, recover, sides
from console.pitr.status import read_status
from console.pitr.take import TableName, back_up_side, take_table
from console.pitr.targets import Stop, Wanted, resolve
from console.pitr.tooling import tools_for
from console.restore import journal
from console.restore.plan import Request, make_plan
from console.restore.run import begin
from console.restore.source import find_source
from console.restore.status import Phase
from console.restore.status import read_status as restore_status
from console.target import Target
from console.tools import Tools, with_database

pytestmark = pytest.mark.slow


@dataclass
class Past:
    """A server with a workload behind it, whose rows were deleted at a known moment."""

    recovery: Recovery
    ledger: list[Entry]
    second_before: datetime
    """No commit was under way then."""
    tools: Tools

    @property
    def until(self) -> set[int]:
        return {entry.id for entry in self.ledger if entry.after <= self.second_before}

    def at(self, share: float) -> Entry:
        """An entry of the ledger, by how far into what was there the second before."""
        return self.ledger[int(len(self.until) * share)]


@pytest.fixture(scope="module", params=[18, 15], ids=["pg18", "pg15"])
def past(request: pytest.FixtureRequest) -> Iterator[Past]:
    with recovery_server(request.param) as recovery:
        yield asyncio.run(_make_past(recovery))


async def _make_past(recovery: Recovery) -> Past:
    await set_up(recovery.target, recovery.settings)
    recovery.sql(
        "CREATE TABLE notes AS SELECT g AS id, 'note ' || g AS text FROM generate_series(1, 500) g"
    )
    with receiving(recovery), Workload(recovery.database) as workload:
        base = await make_base(recovery.target, recovery.settings, recovery.archive)
        await verify_base(recovery.archive, base, recovery.settings)
        for _ in range(3):
            await asyncio.sleep(0.5)
            recovery.switch()
        recovery.sql("SELECT pg_create_restore_point('before the mistake')")
        await asyncio.sleep(0.5)
        second_before = _between_commits(workload)
        await asyncio.sleep(1.0)
        recovery.sql("DELETE FROM sales", "DELETE FROM notes WHERE id <= 300", "DROP TABLE notes")
        await asyncio.sleep(1.0)
    position = recovery.sql("SELECT pg_current_wal_flush_lsn()::text")[0][0]
    with receiving(recovery):
        wait_until(lambda: lsn(recovery.state.recovery_lsn) >= lsn(position), 30, "all is here")
    tools = await tools_for(recovery.archive.info.major, recovery.settings)
    return Past(recovery, workload.ledger, second_before, tools)


def _between_commits(workload: Workload) -> datetime:
    """A moment after one commit was acknowledged, and before the next was asked for."""
    number = len(workload.ledger)
    wait_until(lambda: len(workload.ledger) > number + 1, 10, "the workload works")
    before, after = workload.ledger[number], workload.ledger[number + 1]
    return before.after + (after.before - before.after) / 2


@asynccontextmanager
async def recovered(past: Past, wanted: Wanted, base: str = "") -> AsyncIterator[Side]:
    recovery = past.recovery
    stop = await resolve(recovery.archive, wanted, past.tools, base)
    side = await recover(recovery.archive, recovery.settings, stop, past.tools)
    try:
        yield side
    finally:
        await asyncio.to_thread(drop, side)


def ids(side: Side) -> set[int]:
    with opened(side.target()) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM sales")}


async def test_the_second_before_has_exactly_what_was_committed(past: Past) -> None:
    assert len(past.until) > 100
    async with recovered(past, Wanted("time", past.second_before.isoformat())) as side:
        assert ids(side) == past.until
        with opened(side.target()) as connection:
            row = connection.execute("SELECT count(*) FROM notes").fetchone()
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("DELETE FROM sales")
        assert row == (500,)


@pytest.mark.parametrize("before", [False, True], ids=["with it", "before it"])
async def test_a_transaction_is_in_or_out_as_asked(past: Past, before: bool) -> None:
    entry = past.at(0.8)
    async with recovered(past, Wanted("xid", str(entry.xid), before)) as side:
        last = entry.id - 1 if before else entry.id
        assert ids(side) == {other.id for other in past.ledger if other.id <= last}


async def test_a_position_divides_what_was_committed(past: Past) -> None:
    entry = past.at(0.7)
    async with recovered(past, Wanted("lsn", entry.lsn_after, before=True)) as side:
        assert ids(side) == {other.id for other in past.ledger if other.id <= entry.id}


async def test_a_named_point_is_gone_to(past: Past) -> None:
    async with recovered(past, Wanted("name", "before the mistake")) as side:
        found = ids(side)
        assert found == {entry.id for entry in past.ledger if entry.id <= max(found)}
        assert past.at(0.2).id in found
        assert max(found) < len(past.until)


async def test_the_notable_moments_name_the_mistake(past: Past) -> None:
    """Just before a DROP its transaction locks the table, which must be readable all the same."""
    past.recovery.switch()
    with receiving(past.recovery):
        wait_until(lambda: "drop" in _kinds(past), 30, "the last segment is settled")
    told = {event.kind: event for event in moments(past.recovery.archive)}
    assert told["restore point"].name == "before the mistake"
    assert told["drop"].name == "public.notes"
    deleted = [event for event in moments(past.recovery.archive) if event.kind == "delete"]
    assert {(event.name, event.rows) for event in deleted} >= {("public.notes", 300)}
    wanted = Wanted("xid", str(told["drop"].xid), before=True)
    async with recovered(past, wanted) as side:
        with opened(side.target()) as connection:
            connection.execute("SET statement_timeout = '10s'")
            assert connection.execute("SELECT count(*) FROM notes").fetchone() == (200,)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("DELETE FROM notes")


def _kinds(past: Past) -> set[str]:
    return {event.kind for event in moments(past.recovery.archive)}


async def test_the_target_is_moved_on_and_back(past: Past) -> None:
    early, late = past.at(0.5), past.at(0.9)
    recovery = past.recovery
    async with recovered(past, Wanted("xid", str(early.xid))) as side:
        assert max(ids(side)) == early.id
        on = await resolve(recovery.archive, Wanted("xid", str(late.xid)), past.tools)
        side = await move(recovery.archive, side, on, past.tools)
        assert max(ids(side)) == late.id
        back = await resolve(recovery.archive, Wanted("xid", str(early.xid)), past.tools)
        side = await move(recovery.archive, side, back, past.tools)
        assert ids(side) == {entry.id for entry in past.ledger if entry.id <= early.id}
        assert [s.info.name for s in sides(recovery.archive, recovery.settings)] == [side.info.name]
        assert find_side(recovery.archive, recovery.settings).running
    assert sides(recovery.archive, recovery.settings) == ()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted("time", "2999-01-01T00:00:00+00:00"), "Recoverable: "),
        (Wanted("time", "2020-01-01T00:00:00+00:00"), "Recoverable: "),
        (Wanted("time", "yesterday"), "is no time"),
        (Wanted("lsn", "0/100"), "Recoverable: "),
        (Wanted("lsn", "F/0"), "Recoverable: "),
        (Wanted("lsn", "here"), "no WAL position"),
        (Wanted("xid", "4000000000"), "does not end in the WAL"),
        (Wanted("xid", "-1"), "no transaction id"),
        (Wanted("name", "never made"), "no restore point"),
    ],
    ids=lambda value: getattr(value, "text", "")[:20] or "words",
)
async def test_what_cannot_be_reached_is_refused(past: Past, wanted: Wanted, words: str) -> None:
    with pytest.raises(ActionRefused) as refused:
        await resolve(past.recovery.archive, wanted, past.tools)
    assert words in str(refused.value)


async def test_a_moment_before_the_base_backup_ended_is_refused(past: Past) -> None:
    (base,) = bases(past.recovery.archive)
    assert base.manifest is not None
    inside = base.manifest.ended_at - timedelta(milliseconds=1)
    with pytest.raises(ActionRefused, match="cannot be recovered to"):
        await resolve(past.recovery.archive, Wanted("time", inside.isoformat()), past.tools)


async def test_a_moment_after_the_last_commit_needs_no_commit_behind_it(past: Past) -> None:
    """PostgreSQL's own recovery_target_time would end with an error: no record is after it."""
    state = past.recovery.state
    assert state.recovery_time is not None
    wanted = Wanted("time", state.recovery_time.isoformat())
    stop = await resolve(past.recovery.archive, wanted, past.tools)
    assert stop.inclusive
    assert "No transaction ended after it" in stop.remark
    side = await recover(past.recovery.archive, past.recovery.settings, stop, past.tools)
    await asyncio.to_thread(drop, side)


@pytest.fixture
def copied(past: Past, tmp_path: Path) -> Past:
    """The same archive, to be damaged."""
    recovery = past.recovery
    shutil.copytree(recovery.settings.pitr.directory, tmp_path / "archive", symlinks=True)
    pitr = replace(recovery.settings.pitr, directory=tmp_path / "archive")
    settings = replace(recovery.settings, pitr=pitr)
    return replace(past, recovery=replace(recovery, settings=settings))


@pytest.mark.parametrize("place", [0, 1, -1])
async def test_nothing_is_started_on_damaged_wal(copied: Past, place: int) -> None:
    recovery = copied.recovery
    stop = await resolve(recovery.archive, Wanted("latest"), copied.tools)
    packed = sorted(recovery.archive.current.directory.glob("*.gz"))
    needed = [p for p in packed if p.name[:24] >= _first_needed(stop)]
    needed[place].write_bytes(needed[place - 1].read_bytes())
    with pytest.raises(ActionRefused, match=needed[place].name[:24]):
        await recover(recovery.archive, recovery.settings, stop, copied.tools)
    assert not sides(recovery.archive, recovery.settings)


def _first_needed(stop: Stop) -> str:
    assert stop.base.manifest is not None
    start = lsn(stop.base.manifest.start_lsn)
    size = stop.run.stretch.segment_bytes
    return stop.run.history.segments(start, start + 1, size)[0].name


async def test_without_the_newest_segment_the_end_is_not_believed(copied: Past) -> None:
    """PostgreSQL starts on it without an error and with half the rows."""
    recovery = copied.recovery
    assert recovery.state.recovery_time is not None
    for path in recovery.archive.current.directory.glob("*.partial"):
        path.unlink()
    newest = sorted(recovery.archive.current.directory.glob("*.gz"))[-1]
    newest.unlink()
    wanted = Wanted("time", (recovery.state.recovery_time).isoformat())
    with pytest.raises(ActionRefused, match="it was received, and is gone"):
        await resolve(recovery.archive, wanted, copied.tools)


async def test_wal_that_ends_too_early_is_not_taken_for_the_target(past: Past) -> None:
    """The position reached is compared: a target beyond the last record ends in an error."""
    recovery = past.recovery
    stop = await resolve(recovery.archive, Wanted("latest"), past.tools)
    beyond = replace(stop, lsn=stop.lsn + (1 << 20))
    with pytest.raises(CommandFailed, match="recovery ended before configured recovery target"):
        await recover(recovery.archive, recovery.settings, beyond, past.tools)
    assert not sides(recovery.archive, recovery.settings)


async def test_tables_and_rows_are_taken_beside_the_live_ones(past: Past) -> None:
    recovery = past.recovery
    async with recovered(past, Wanted("time", past.second_before.isoformat())) as side:
        taken = await take_table(side, recovery.target, TableName.parse("sales"))
        assert taken.rows == len(past.until)
        rows = recovery.sql(f'SELECT id FROM "{taken.schema}".sales')
        assert {row[0] for row in rows} == past.until
        some = await take_table(
            side, recovery.target, TableName("public", "notes"), where="id % 2 = 0", schema="picked"
        )
        assert some.rows == 250
        assert recovery.sql("SELECT text FROM picked.notes WHERE id = 4") == [("note 4",)]
        recovery.sql(taken.advice)
        assert recovery.sql("SELECT count(*) FROM public.sales")[0][0] >= len(past.until)
        with pytest.raises(ActionRefused, match="is there already"):
            await take_table(side, recovery.target, TableName.parse("notes"), schema="picked")
        with pytest.raises(ActionRefused, match="no table"):
            await take_table(side, recovery.target, TableName.parse("never"))


async def test_a_condition_is_one_select_and_nothing_behind_it(past: Past) -> None:
    recovery = past.recovery
    async with recovered(past, Wanted("time", past.second_before.isoformat())) as side:
        for where in ("true); SELECT 1; --", "true) TO PROGRAM 'true' --", "nonsense"):
            with pytest.raises(ConsoleError):
                await take_table(
                    side, recovery.target, TableName.parse("notes"), where=where, schema="bad"
                )
        assert recovery.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'bad'") == [(0,)]


async def test_the_database_is_taken_the_way_of_every_restore(past: Past) -> None:
    recovery = past.recovery
    async with recovered(past, Wanted("time", past.second_before.isoformat())) as side:
        backup = await back_up_side(side, recovery.target, recovery.settings)
    assert backup.verdict is Verdict.PASS
    assert backup.manifest is not None
    assert backup.manifest.in_recovery
    source = find_source(Store(recovery.settings.backups.directory), backup.id, "live")
    request = Request(into="as_it_was", safety=False)
    plan = await make_plan(
        recovery.target, source, request, recovery.settings.backups, recovery.settings.tools
    )
    directory = await begin(plan, recovery.target, recovery.settings, confirmed=True)
    wait_until(lambda: journal.running_pid(directory) is None, 60, "the restore ends")
    assert restore_status(directory).phase is Phase.DONE
    with opened(with_database(recovery.target, "as_it_was")) as connection:
        found = {row[0] for row in connection.execute("SELECT id FROM sales")}
    assert found == past.until


async def test_a_ready_directory_starts_with_what_was_asked(past: Past) -> None:
    recovery = past.recovery
    wanted = Wanted("time", past.second_before.isoformat())
    stop = await resolve(recovery.archive, wanted, past.tools)
    place = recovery.root / "ready" / "data"
    ready = await write_directory(recovery.archive, recovery.settings, stop, past.tools, place)
    assert ready.timeline == 2
    assert any("pg_ctl" in line for line in ready.lines)
    assert not (place / "recovery.signal").exists()
    assert not list(place.glob("*.original"))
    server = LocalServer(past.recovery.server.bin_dir, recovery.root / "ready")
    server.give(place)
    (recovery.root / "ready" / "medianest-console").write_text("for the test\n")
    server.directory.passfile.write_text((recovery.server.directory.passfile).read_text())
    server.directory.passfile.chmod(0o600)
    with server, opened(Target("ready", server.conninfo("shop"))) as connection:
        assert {row[0] for row in connection.execute("SELECT id FROM sales")} == past.until
        connection.execute("INSERT INTO sales (id, note) VALUES (-5, 'writes again')")
    with pytest.raises(ActionRefused, match="holds something"):
        await write_directory(recovery.archive, recovery.settings, stop, past.tools, place)


async def test_a_side_server_archives_nothing_and_reaches_nobody(past: Past) -> None:
    async with recovered(past, Wanted("time", past.second_before.isoformat())) as side:
        with opened(side.target()) as connection:
            rows = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN ('archive_mode',"
                " 'primary_conninfo', 'listen_addresses', 'shared_preload_libraries',"
                " 'max_connections')"
            ).fetchall()
        assert dict(rows) == {
            "archive_mode": "off",
            "primary_conninfo": "",
            "listen_addresses": "",
            "shared_preload_libraries": "",
            "max_connections": "40",
        }


async def test_a_drill_recovers_any_moment_and_is_written_down(past: Past) -> None:
    recovery = past.recovery
    with receiving(recovery):
        base = await drill(recovery.archive, recovery.settings, recovery.target, past.tools)
    assert base.drill is not None
    assert base.drill.verdict is Verdict.PASS, base.drill.reason
    assert base.drill.restore_seconds
    what = [check.what for check in base.drill.checks]
    assert any("amcheck" in word for word in what)
    assert "the recovery point" in what
    status = read_status(recovery.archive, recovery.settings)
    assert "A drill" in "\n".join(finding.message for finding in status.findings)
    for _ in range(50):
        at = any_moment(status).time
        assert any(window.holds_time(at) for window in status.windows)


async def test_a_damaged_base_backup_fails_the_drill(copied: Past) -> None:
    recovery = copied.recovery
    (base,) = bases(recovery.archive)
    (base.data / "global" / "pg_control").write_bytes(bytes(8192))
    drilled = await drill(
        recovery.archive, recovery.settings, recovery.target, copied.tools, wanted=Wanted("latest")
    )
    assert drilled.drill is not None
    assert drilled.drill.verdict is Verdict.FAIL


async def test_retention_keeps_bases_and_their_wal_together(copied: Past) -> None:
    recovery = copied.recovery
    with receiving(recovery):
        for _ in range(2):
            base = await make_base(recovery.target, recovery.settings, recovery.archive)
            await verify_base(recovery.archive, base, recovery.settings)
            recovery.switch()
        await asyncio.sleep(2)
    archive, policy = recovery.archive, recovery.settings.pitr
    assert all(decision.keep for decision in retention.plan(archive, policy).bases)
    later = datetime.now(UTC) + timedelta(days=30)
    decided = retention.plan(archive, policy, later)
    assert [decision.keep for decision in decided.bases] == [True, True, False]
    before = set(archive.current.files)
    _prune_at(recovery, later)
    status = read_status(archive, recovery.settings)
    assert len(status.bases) == 2
    assert status.audit.good, "what was let go is no loss"
    (window,) = status.windows
    assert len(window.bases) == 2
    assert set(archive.current.files) < before
    side = await recover(
        archive,
        recovery.settings,
        await resolve(archive, Wanted("latest"), copied.tools, status.bases[-1].id),
        copied.tools,
    )
    await asyncio.to_thread(drop, side)


def _prune_at(recovery: Recovery, moment: datetime) -> None:
    decided = retention.plan(recovery.archive, recovery.settings.pitr, moment)
    retention.carry_out(recovery.archive, decided)


async def test_without_a_verified_base_nothing_is_let_go(copied: Past) -> None:
    (base,) = bases(copied.recovery.archive)
    (base.path / "record.json").unlink()
    later = datetime.now(UTC) + timedelta(days=300)
    decided = retention.plan(copied.recovery.archive, copied.recovery.settings.pitr, later)
    assert [decision.reason for decision in decided.bases] == ["no base backup is verified"]
    assert decided.wal == () or all(
        file.segment.end <= lsn(base.manifest.start_lsn) for _, file in decided.wal if base.manifest
    )


async def test_an_incremental_base_is_recovered_over_its_parents() -> None:
    with recovery_server(18) as recovery:
        await set_up(recovery.target, recovery.settings)
        with receiving(recovery), Workload(recovery.database) as workload:
            await asyncio.sleep(0.5)
            for incremental in (False, True, True):
                base = await make_base(
                    recovery.target, recovery.settings, recovery.archive, incremental=incremental
                )
                base = await verify_base(recovery.archive, base, recovery.settings)
                assert base.verdict is Verdict.PASS
            await asyncio.sleep(1)
            moment = _between_commits(workload)
            await asyncio.sleep(2.5)
            tools = await tools_for(18, recovery.settings)
            past = Past(recovery, workload.ledger, moment, tools)
            async with recovered(past, Wanted("time", moment.isoformat())) as side:
                assert side.info.base.endswith("-incremental")
                assert ids(side) == past.until
        decided = retention.plan(
            recovery.archive, recovery.settings.pitr, datetime.now(UTC) + timedelta(days=60)
        )
        assert all(decision.keep for decision in decided.bases), "each leads to the newest"


async def test_tablespaces_come_along_without_touching_the_originals() -> None:
    with recovery_server(15) as recovery:
        place = recovery.root / "space"
        place.mkdir()
        recovery.server.give(place)
        recovery.sql(
            f"CREATE TABLESPACE extra LOCATION '{place}'",
            "CREATE TABLE apart (x int) TABLESPACE extra",
            "INSERT INTO apart SELECT generate_series(1, 1000)",
        )
        await set_up(recovery.target, recovery.settings)
        with receiving(recovery), Workload(recovery.database) as workload:
            base = await make_base(recovery.target, recovery.settings, recovery.archive)
            base = await verify_base(recovery.archive, base, recovery.settings)
            assert base.verdict is Verdict.PASS
            recovery.sql("DELETE FROM apart")
            before = sorted(place.rglob("*"))
            tools = await tools_for(15, recovery.settings)
            past = Past(recovery, workload.ledger, datetime.now(UTC), tools)
            stop = await resolve(recovery.archive, Wanted("latest"), tools)
            assert stop.base.manifest is not None
            wanted = Wanted("lsn", stop.base.manifest.stop_lsn)
            async with recovered(past, wanted) as side:
                with opened(side.target()) as connection:
                    row = connection.execute("SELECT count(*) FROM apart").fetchone()
                    where = connection.execute(
                        "SELECT pg_tablespace_location(oid) FROM pg_tablespace"
                        " WHERE spcname = 'extra'"
                    ).fetchone()
                assert row == (1000,)
                assert where is not None
                assert str(place) not in where[0]
            assert sorted(place.rglob("*")) == before
