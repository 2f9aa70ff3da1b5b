"""Watch one target: look, judge, tell, write down; again at every tick."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from console.agent import alerts, memory
from console.agent.alerts import Notice
from console.agent.clock import Clock
from console.agent.conditions import TITLES, Condition, Kind, filling, judge
from console.agent.duties import Duties
from console.agent.health import Look, Reading
from console.agent.history import AgentHistory, Event, HistoryReader
from console.agent.memory import Memory
from console.agent.metrics import Snapshot
from console.agent.outbox import messages_of
from console.agent.postbox import Postbox
from console.agent.presence import Doing
from console.backup.manifest import Verdict
from console.errors import ConsoleError
from console.overview import cache_hit_ratio
from console.settings import Settings
from console.target import Target

_GREW_OVER = timedelta(days=7)
_GREW_AT_LEAST = timedelta(hours=6)
_SELDOM_SEEN = frozenset({Kind.DISK, Kind.DISK_FILLING, Kind.SLOW, Kind.CERTIFICATE})
"""What is not looked at each time holds, or does not, as it was seen last."""
_UNKNOWN_WHILE_DOWN = frozenset({Kind.RECEIVER})


@dataclass(slots=True)
class Watch:
    """One target's: what was seen of it last, and what is being done to it."""

    name: str
    """What it is called in messages, figures and the history."""
    target: Target
    settings: Settings
    history: AgentHistory
    postbox: Postbox
    clock: Clock
    log: Any
    memory: Memory
    duties: Duties = field(init=False)
    reading: Reading | None = None
    work: str = ""
    """What is being done to it now."""
    slow_facts: Reading | None = None
    """The last look that was at sizes and disks."""
    certificate_days: float | None = None
    _look: Look = field(init=False)
    _seldom_seen: dict[str, Condition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.duties = Duties(self.target, self.settings, self.memory, self.clock, self.log)
        places = (self.settings.backups.directory, *self.settings.agent.disks)
        self._look = Look(self.target, places)

    async def close(self) -> None:
        await self._look.close()

    @property
    def doing(self) -> Doing:
        """In a word and a sentence how it is."""
        if self.reading is None:
            return Doing("unknown", "not looked at yet", self.work)
        if not self.reading.up:
            return Doing("down", self.reading.problem, self.work)
        raised = [a for a in self.memory.book.values() if a.is_raised]
        raised.sort(key=lambda alert: alert.severity != "failure")
        if raised:
            return Doing(raised[0].severity, raised[0].message, self.work)
        return Doing("ok", "healthy", self.work)

    def snapshot(self) -> Snapshot | None:
        """What Prometheus is told; None before the first look."""
        if self.reading is None:
            return None
        backups = self.duties.known_backups
        proven = next((b for b in backups if b.verdict is Verdict.PASS), None)
        return Snapshot(
            self.reading,
            self.memory,
            backups,
            self.duties.age(proven, self.clock()) if proven else None,
            self.slow_facts or self.reading,
            self.certificate_days,
        )

    async def tick(self) -> None:
        """Look once and draw every conclusion. Raises CommandFailed when nothing can be kept."""
        now = self.clock()
        reading = await self._look.look(now)
        before, self.reading = self.reading, reading
        if reading.disks or reading.database_bytes is not None:
            self.slow_facts = reading
        if reading.certificate_days is not None:
            self.certificate_days = reading.certificate_days
        if before is None or before.up != reading.up:
            self.log.info("up" if reading.up else "down", message=reading.problem)
        seen = judge(
            reading,
            self.settings.agent.alerts.thresholds,
            alerts.raised(self.memory.book),
        )
        standing = [
            condition
            for condition in self.memory.standing.values()
            if reading.up or condition.kind not in _UNKNOWN_WHILE_DOWN
        ]
        grown = await asyncio.to_thread(self._filling, reading) if reading.disks else ()
        for condition in (*seen, *grown):
            if condition.kind in _SELDOM_SEEN:
                self._seldom_seen[condition.key] = condition
        often = [condition for condition in seen if condition.kind not in _SELDOM_SEEN]
        await self._conclude((*often, *standing, *self._seldom_seen.values()), reading)

    async def _conclude(self, seen: Sequence[Condition], reading: Reading) -> None:
        policy = self.settings.agent.alerts
        local = reading.at.wall.astimezone()
        before = self.memory.book
        self.memory.book, notices = alerts.step(before, seen, reading.at, policy, local)
        over = [c.key for c in self.memory.standing.values() if not c.holds]
        for key in over:
            if key not in self.memory.book:
                del self.memory.standing[key]
        messages = messages_of(notices, self.name, policy, self.postbox.receivers, reading.at)
        for notice in notices:
            self._note(notice)
        if not messages:
            await asyncio.to_thread(self._keep, reading, notices, {})
            return
        async with self.postbox.saving:
            outbox = self.postbox.put(messages)
            await asyncio.to_thread(self._keep, reading, notices, outbox)

    def _note(self, notice: Notice) -> None:
        say = self.log.error if notice.severity == "failure" else self.log.warning
        if notice.what == "cleared":
            say = self.log.info
        say(notice.what, alert=str(notice.kind), subject=notice.subject, message=notice.message)

    def _keep(self, reading: Reading, notices: Sequence[Notice], outbox: dict[str, object]) -> None:
        """State and messages in one transaction: a notice is told once, whenever we end."""
        kept = {self.name: memory.document(self.memory), **({"": outbox} if outbox else {})}
        self.history.remember(kept)
        self.history.add(self.name, reading.at.wall, figures(reading))
        for notice in notices:
            self.history.note(_event(self.name, reading.at.wall, notice))

    def _filling(self, reading: Reading) -> list[Condition]:
        """Whether a disk will be full soon, by its last week in the history."""
        now, reader = reading.at.wall, HistoryReader(self.history.path)
        found = []
        for disk in {disk.mount: disk for disk in reading.disks.values()}.values():
            points = reader.points(self.name, f"disk.used {disk.mount}", now - _GREW_OVER, now)
            if points and now - points[0].at >= _GREW_AT_LEAST:
                days = (now - points[0].at).total_seconds() / 86_400
                grown = (disk.total - disk.free - points[0].mean) / days
                thresholds = self.settings.agent.alerts.thresholds
                found.append(filling(disk, grown, thresholds))
        return found

    async def work_once(self) -> bool:
        """Do what is most urgent; whether there was anything. Nothing is begun while it is down."""
        if self.reading is None or not self.reading.up or self.reading.full:
            return False
        try:
            duty = await self.duties.next_duty()
        except ConsoleError as error:
            self.log.error("cannot work", message=error.message, hint=error.hint)
            return False
        if duty is None:
            return False
        self.work = f"{duty.what} {duty.detail}".strip()
        self.log.info("begun", work=self.work)
        try:
            await duty.work()
        finally:
            self.work = ""
            await asyncio.to_thread(
                self.history.remember, {self.name: memory.document(self.memory)}
            )
        return True


def _event(target: str, at: datetime, notice: Notice) -> Event:
    words = TITLES[notice.kind] if notice.what != "cleared" else "over: " + TITLES[notice.kind]
    return Event(
        at,
        target,
        f"{notice.what} {notice.kind}",
        notice.severity,
        notice.subject,
        f"{words[:1].upper()}{words[1:]}. {notice.message}",
    )


def figures(reading: Reading) -> dict[str, float | None]:
    """What of a look is kept as history."""
    found: dict[str, float | None] = {"up": float(reading.up)}
    sample, rates = reading.sample, reading.rates
    if sample is not None:
        found |= {
            "connections": sample.connections,
            "active": sample.active,
            "waiting": sample.waiting_for_lock,
            "longest_seconds": sample.longest_seconds or 0.0,
            "cache_hit_ratio": cache_hit_ratio(sample),
            "answer_ms": reading.seconds * 1000,
        }
    if rates is not None:
        found["transactions_per_second"] = rates.transactions_per_second
        found["cache_hit_ratio"] = rates.cache_hit_ratio
    if reading.statements is not None:
        found["statements_per_second"] = reading.statements.per_second
        found["statement_mean_ms"] = reading.statements.mean_ms
    found["database_bytes"] = reading.database_bytes
    for disk in {disk.mount: disk for disk in reading.disks.values()}.values():
        found[f"disk.used {disk.mount}"] = disk.total - disk.free
        found[f"disk.share {disk.mount}"] = disk.used_share
    return found
