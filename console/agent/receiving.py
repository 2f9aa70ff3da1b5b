"""Receive the WAL of a target that was prepared for it, and say when it stands still."""

from __future__ import annotations

import asyncio
from typing import Any

from console.agent.conditions import Condition, Kind
from console.agent.memory import Memory
from console.errors import ConsoleError
from console.pitr import archive as archives
from console.pitr.receive import receive
from console.pitr.receiver_state import read_state
from console.settings import Settings
from console.target import Target

_AGAIN = 60.0
_LOOK = 15.0
_MB = 1 << 20


async def keep_receiving(target: Target, settings: Settings, memory: Memory, log: Any) -> None:
    """Until cancelled; waits for `pitr setup` where that was not run yet."""

    def tell(line: str) -> None:
        log.warning("WAL receiver", message=line)

    while True:
        try:
            archive = await asyncio.to_thread(archives.find, settings.pitr, target.name)
            if archive is not None and not archive.info.source:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_watch(archive, settings, memory))
                    await receive(target, settings, tell)
        except* ConsoleError as group:
            error = group.exceptions[0]
            assert isinstance(error, ConsoleError)
            log.error("WAL is not received", message=error.message, hint=error.hint)
            memory.stand(Condition(Kind.RECEIVER, "", True, "failure", error.message, error.hint))
        await asyncio.sleep(_AGAIN)


async def _watch(archive: archives.Archive, settings: Settings, memory: Memory) -> None:
    """Judge what the receiver says of itself."""
    limit = settings.agent.alerts.thresholds.replication_behind_mb * _MB
    while True:
        await asyncio.sleep(_LOOK)
        state = await asyncio.to_thread(read_state, archive)
        if state is None:
            continue
        behind = state.lag_bytes
        words = state.problem or f"The WAL received is {behind // _MB} MB behind."
        memory.stand(
            Condition(
                Kind.RECEIVER,
                "",
                bool(state.problem) or behind >= limit,
                "failure" if state.problem else "warning",
                words,
                "`pitr status` tells how far it is.",
            )
        )
