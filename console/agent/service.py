"""The agent: one process that watches every target until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from console import __version__
from console.agent import memory
from console.agent.clock import Clock, Moment
from console.agent.endpoint import Endpoint
from console.agent.history import AgentHistory
from console.agent.log import open_log
from console.agent.metrics import Snapshot, registry
from console.agent.outbox import addresses
from console.agent.policy import Metrics
from console.agent.postbox import Postbox
from console.agent.presence import Presence, alone, write_presence
from console.agent.supervisor import Supervisor
from console.agent.watch import Watch
from console.errors import ConsoleError
from console.settings import Settings
from console.target import Target

_TIDY_SECONDS = 3600.0
_IDLE_LOOKS = 2
"""Looks between two questions whether there is work to do."""

Read = Callable[[], tuple[Settings, Sequence[Target]]]
"""Reads the settings and the targets to watch. Raises SettingsError."""


@dataclass(slots=True)
class _Watched:
    watch: Watch
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Agent:
    """Made by `run_agent`; the parts that run side by side, and what they share."""

    def __init__(
        self, read: Read, directory: Path, clock: Clock, log: Any, settings: Settings
    ) -> None:
        self._read, self._directory, self._clock, self.log = read, directory, clock, log
        self._started = datetime.now(UTC)
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._supervisor = Supervisor()
        self.settings = settings
        self.watched: dict[str, _Watched] = {}
        self._history = AgentHistory(directory / "history.sqlite")
        self._endpoint: Endpoint | None = None
        self._served: Metrics | None = None
        self.postbox = Postbox(self._history, addresses(settings.agent.alerts), clock, log)

    async def run(self, targets: Sequence[Target]) -> None:
        """Until SIGTERM or SIGINT; work under way is then taken back."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._serve_metrics()
        self.log.info("started", version=__version__, targets=[_name(t) for t in targets])
        await self._watch_only(targets)
        common = [
            asyncio.create_task(part)
            for part in (self.postbox.run(), self._work(), self._tidy(), self._tell_presence())
        ]
        self._supervisor.ready(self._status())
        try:
            await self._until_stopped(common)
        finally:
            self._supervisor.stopping()
            await _ended(common)
            self._serve_no_metrics()
            for name in list(self.watched):
                await self._watch_no_more(name)
            self._history.close()
            self.log.info("stopped")

    async def _until_stopped(self, common: Sequence[asyncio.Task[None]]) -> None:
        """Reload when asked; raise what ended a part that should not end."""
        stopping = asyncio.create_task(self._stop.wait())
        while not self._stop.is_set():
            reloading = asyncio.create_task(self._reload.wait())
            everything = [*common, *(t for w in self.watched.values() for t in w.tasks)]
            done, _ = await asyncio.wait(
                [stopping, reloading, *everything], return_when=asyncio.FIRST_COMPLETED
            )
            reloading.cancel()
            for task in done & set(everything):
                await task
            if self._reload.is_set() and not self._stop.is_set():
                self._reload.clear()
                await self._read_again()

    async def _read_again(self) -> None:
        self._supervisor.reloading()
        try:
            settings, targets = await asyncio.to_thread(self._read)
            receivers = addresses(settings.agent.alerts)
        except ConsoleError as error:
            self.log.error(
                "not reloaded", message=f"{error.message} The old settings stay.", hint=error.hint
            )
        else:
            self.settings = settings
            self.postbox.send_to(receivers)
            await self._watch_only(targets)
            try:
                self._serve_metrics()
            except ConsoleError as error:
                self.log.error("no metrics", message=error.message, hint=error.hint)
            self.log.info("reloaded", targets=sorted(self.watched))
        self._supervisor.ready(self._status())

    def _serve_metrics(self) -> None:
        """Listen as the settings say. Raises SettingsError and CommandFailed."""
        policy = self.settings.agent.metrics
        if policy == self._served:
            return
        self._serve_no_metrics()
        if policy.listen is not None:
            known = registry(self._snapshots, lambda: self.postbox.waiting)
            self._endpoint = Endpoint(policy, known)
            self._served = policy
            self.log.info("metrics", listen=policy.listen, port=self._endpoint.port)

    def _serve_no_metrics(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()
        self._endpoint = self._served = None

    def _snapshots(self) -> dict[str, Snapshot]:
        found = {name: watched.watch.snapshot() for name, watched in list(self.watched.items())}
        return {name: snapshot for name, snapshot in found.items() if snapshot is not None}

    def _status(self) -> str:
        return f"Watching {', '.join(sorted(self.watched)) or 'nothing'}."

    async def _watch_only(self, targets: Sequence[Target]) -> None:
        """Begin, go on with and end watches, so that these targets are watched as set."""
        wanted = {_name(target): target for target in targets}
        for name in list(self.watched):
            watch = self.watched[name].watch
            same = watch.target == wanted.get(name) and watch.settings == self.settings
            if not same and not watch.work:
                await self._watch_no_more(name)
            elif not same:
                # Work under way ends with the settings it began with; then it is asked again.
                asyncio.get_running_loop().call_later(1.0, self._reload.set)
        for name, target in wanted.items():
            if name not in self.watched:
                self.watched[name] = await self._begin(name, target)

    async def _begin(self, name: str, target: Target) -> _Watched:
        known = await asyncio.to_thread(memory.recall, self._history, name)
        log = self.log.bind(target=name)
        watch = Watch(
            name, target, self.settings, self._history, self.postbox, self._clock, log, known
        )
        begun = _Watched(watch, [asyncio.create_task(self._look(watch))])
        if self.settings.agent.receive_wal:
            from console.agent.receiving import keep_receiving

            receiving = keep_receiving(target, self.settings, known, log)
            begun.tasks.append(asyncio.create_task(receiving))
        return begun

    async def _watch_no_more(self, name: str) -> None:
        watched = self.watched.pop(name)
        await _ended(watched.tasks)
        await watched.watch.close()

    async def _look(self, watch: Watch) -> None:
        """At an even pace; a look that took too long delays the next one and makes up for none."""
        loop = asyncio.get_running_loop()
        next_look = loop.time()
        while True:
            try:
                await watch.tick()
            except ConsoleError as error:
                watch.log.error("not written down", message=error.message, hint=error.hint)
            next_look = max(loop.time(), next_look + watch.settings.agent.health_seconds)
            await asyncio.sleep(next_look - loop.time())

    async def _work(self) -> None:
        """One piece of work at a time, for one target after another."""
        while True:
            did = False
            for name in sorted(self.watched):
                if name in self.watched:
                    did |= await self._work_for(self.watched[name].watch)
            if not did:
                await asyncio.sleep(_IDLE_LOOKS * self.settings.agent.health_seconds)

    async def _work_for(self, watch: Watch) -> bool:
        try:
            return await watch.work_once()
        except ConsoleError as error:
            watch.log.error("not written down", message=error.message, hint=error.hint)
            return False

    async def _tidy(self) -> None:
        while True:
            now, limit = self._clock().wall, self.settings.agent.history_megabytes
            try:
                await asyncio.to_thread(self._history.tidy, now, limit)
            except ConsoleError as error:
                self.log.error("not tidied", message=error.message, hint=error.hint)
            await asyncio.sleep(_TIDY_SECONDS)

    async def _tell_presence(self) -> None:
        """Say that we are there: to whoever reads the file, and to systemd's watchdog."""
        while True:
            every = self.settings.agent.health_seconds
            doing = {name: watched.watch.doing for name, watched in self.watched.items()}
            presence = Presence(
                os.getpid(), __version__, self._started, datetime.now(UTC), every, doing
            )
            with contextlib.suppress(OSError):  # a full disk is told as an alert
                await asyncio.to_thread(write_presence, self._directory, presence)
            self._supervisor.alive()
            await asyncio.sleep(min(every, (self._supervisor.watchdog_seconds or every * 2) / 2))


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they took back what they had begun."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _name(target: Target) -> str:
    return target.name or target.dbname


async def run_agent(read: Read, directory: Path, clock: Clock = Moment.now) -> None:
    """Run the agent of a state directory until SIGTERM or SIGINT.

    Raises ActionRefused when another one runs there, SettingsError and CommandFailed when it
    cannot begin.
    """
    settings, targets = await asyncio.to_thread(read)
    with alone(directory):
        log = open_log(settings.agent.log_file)
        await Agent(read, directory, clock, log, settings).run(targets)
