"""Kill the receiver, what supervises it, and the server: nothing that was promised is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from recovery import (
    Recovery,
    Workload,
    kill_postmaster,
    opened,
    receiving,
    recovery_server,
    start_receiver,
    stop_receiver,
    wait_until,
)

from console.pitr.audit import audit
from console.pitr.base import make_base, verify_base
from console.pitr.names import lsn
from console.pitr.promoted import write_directory
from console.pitr.receiver_state import ReceiverState
from console.pitr.setup import set_up
from console.pitr.side import drop, recover
from console.pitr.status import RECOVERY_POINT_SECONDS, ask_status
from console.pitr.targets import Wanted, resolve
from console.pitr.tooling import tools_for

pytestmark = pytest.mark.slow

ROUNDS = 10


def children(pid: int) -> list[int]:
    """The pg_receivewal that a receiver runs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The program's name is in parentheses and may hold blanks.
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def kill(what: Iterable[str], recovery: Recovery, receiver: subprocess.Popen[bytes]) -> None:
    for victim in what:
        if victim == "receiver":
            for pid in children(receiver.pid):
                os.kill(pid, signal.SIGKILL)
        elif victim == "supervisor":
            stop_receiver(receiver, signal.SIGKILL)
        else:
            kill_postmaster(recovery.server)


async def recovered_ids(recovery: Recovery) -> set[int]:
    """Every row that the archive alone brings back."""
    tools = await tools_for(recovery.archive.info.major, recovery.settings)
    stop = await resolve(recovery.archive, Wanted("latest"), tools)
    side = await recover(recovery.archive, recovery.settings, stop, tools)
    try:
        with opened(side.target()) as connection:
            return {row[0] for row in connection.execute("SELECT id FROM sales")}
    finally:
        await asyncio.to_thread(drop, side)


@pytest.mark.parametrize("major", [18, 15])
async def test_ten_rounds_of_kills_lose_nothing_that_was_promised(major: int) -> None:
    chance = random.Random(major)
    with recovery_server(major) as recovery:
        await set_up(recovery.target, recovery.settings)
        receiver = start_receiver(recovery)
        with Workload(recovery.database) as workload:
            base = await make_base(recovery.target, recovery.settings, recovery.archive)
            await verify_base(recovery.archive, base, recovery.settings)
            for number in range(ROUNDS):
                await asyncio.sleep(chance.uniform(0.5, 2.5))
                if number % 3 == 1 and recovery.server.running:
                    recovery.switch()
                victims = chance.sample(
                    ["receiver", "supervisor", "server"], k=chance.choice([1, 1, 2, 3])
                )
                kill(victims, recovery, receiver)
                if number in (3, ROUNDS - 1):
                    await _hold(recovery, workload, recovery.state)
                if not recovery.server.running:
                    recovery.server.start()
                if receiver.poll() is not None:
                    receiver = start_receiver(recovery)
            pid = receiver.pid
            wait_until(lambda: _streams(recovery, pid), 60, "it streams again")
        await _all_received(recovery)
        stop_receiver(receiver)
        found = await audit(recovery.archive, recovery.settings)
        assert found.good, found.troubles
        assert len(found.runs) == 1, "kills make no gap: the slot holds the WAL"
        assert not recovery.state.gaps
        rows = await recovered_ids(recovery)
        committed = {entry.id for entry in workload.ledger}
        assert committed <= rows <= committed | workload.unsure


def _streams(recovery: Recovery, pid: int) -> bool:
    return recovery.state.pid == pid and recovery.state.phase == "receiving"


async def _hold(recovery: Recovery, workload: Workload, promised: ReceiverState) -> None:
    """From the archive alone, everything that was committed before the reported point."""
    ledger = list(workload.ledger)
    rows = await recovered_ids(recovery)
    point = promised.recovery_time
    assert point is not None
    lost = [entry.id for entry in ledger if entry.after <= point and entry.id not in rows]
    assert not lost, f"promised up to {point}"


async def _all_received(recovery: Recovery) -> None:
    position = recovery.sql("SELECT pg_current_wal_flush_lsn()::text")[0][0]
    wait_until(lambda: lsn(recovery.state.recovery_lsn) >= lsn(position), 60, "all is received")


@pytest.mark.parametrize("major", [18, 15])
async def test_the_recovery_point_stays_under_five_seconds(major: int) -> None:
    """The age that the archive itself reports, of looks while somebody works and nobody does."""
    with recovery_server(major) as recovery:
        await set_up(recovery.target, recovery.settings)
        with receiving(recovery):
            wait_until(lambda: recovery.state.recovery_time is not None, 20, "a first sample")
            ages = []
            with Workload(recovery.database):
                for number in range(12):
                    await asyncio.sleep(0.5)
                    if number % 4 == 0:
                        recovery.switch()
                    ages.append(await _age(recovery))
            for _ in range(6):  # nobody works
                await asyncio.sleep(0.5)
                ages.append(await _age(recovery))
        ages.sort()
        print(f"recovery point: median {ages[len(ages) // 2]:.2f} s, worst {ages[-1]:.2f} s")
        assert ages[len(ages) // 2] < RECOVERY_POINT_SECONDS


async def _age(recovery: Recovery) -> float:
    status = await ask_status(recovery.target, recovery.settings)
    assert status.recovery_age is not None
    return status.recovery_age


async def test_an_unfinished_file_that_was_torn_is_gone_on_with() -> None:
    """pg_receivewal refuses a file whose making was interrupted; the receiver mends it."""
    with recovery_server(18) as recovery:
        await set_up(recovery.target, recovery.settings)
        with receiving(recovery), Workload(recovery.database):
            await asyncio.sleep(1)
        (partial,) = recovery.archive.current.directory.glob("*.partial")
        os.truncate(partial, 5_000_000)
        with receiving(recovery):
            await _all_received(recovery)
        assert (await audit(recovery.archive, recovery.settings)).good


async def test_two_receivers_do_not_mix() -> None:
    with recovery_server(15) as recovery:
        await set_up(recovery.target, recovery.settings)
        with receiving(recovery):
            second = start_receiver(recovery)
            assert second.wait(30) != 0
            assert "Another process receives" in (recovery.root / "receiver.log").read_text()


async def test_a_server_put_back_to_an_earlier_time_begins_a_new_stretch() -> None:
    """Its WAL has the same names and other content: it must not be mixed with what there is."""
    with recovery_server(15) as recovery:
        await set_up(recovery.target, recovery.settings)
        with receiving(recovery), Workload(recovery.database):
            base = await make_base(recovery.target, recovery.settings, recovery.archive)
            await verify_base(recovery.archive, base, recovery.settings)
            recovery.switch()
            await asyncio.sleep(2)
        tools = await tools_for(15, recovery.settings)
        assert base.manifest is not None
        stop = await resolve(recovery.archive, Wanted("lsn", base.manifest.stop_lsn), tools)
        place = recovery.root / "put-back"
        await write_directory(recovery.archive, recovery.settings, stop, tools, place)
        recovery.server.stop()
        data = recovery.server.data_directory
        data.rename(data.with_name("data.lost"))
        place.rename(data)
        recovery.server.give(data)
        recovery.server.start()
        with receiving(recovery):
            wait_until(lambda: len(recovery.archive.stretches) == 2, 30, "a new stretch begins")
            await _all_received(recovery)
        (gap,) = recovery.state.gaps
        assert gap.reason
        found = await audit(recovery.archive, recovery.settings)
        assert {run.stretch.number for run in found.runs} == {1, 2}
