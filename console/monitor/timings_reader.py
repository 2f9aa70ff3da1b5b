"""Asks which statements take the time, the best way that this server and role allow.

Counted by pg_stat_statements where it can be asked; sampled from the sessions where it cannot, and
until somebody enables it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from console.errors import ConsoleError, QueryFailed
from console.monitor.activity import read_activity
from console.monitor.guard import Guard
from console.monitor.sampled import SampledStatement, SampledTimings
from console.monitor.statement_text import safe
from console.monitor.timings import (
    Snapshot,
    Timing,
    TimingsHistory,
    hidden_statements,
    key_of,
    timings,
)
from console.session import Connection, Session
from console.statements import Readiness, readiness
from queries.statements import INSTALLATION, Installation
from queries.timings import ROLES, Counters, Ledger, read_counters, read_ledger, read_texts

LOOK_AGAIN = timedelta(seconds=30)
"""How often it is asked whether the extension has come, while there is none."""
MOST_TEXTS = 10_000


@dataclass(frozen=True, slots=True)
class TimingsReading:
    """What is known now. Either `timings` or `sampled` is filled, by `is_sampled`."""

    at: datetime
    ready: Readiness
    version: str | None
    """Of the extension."""
    timings: Sequence[Timing]
    sampled: Sequence[SampledStatement]
    since: datetime | None
    """When counting, or sampling, began; None where 13 does not tell."""
    evictions: int | None
    hidden: int
    notices: Sequence[str]
    remark: str
    """Why the figures are not fresh; '' when they are."""
    looks: int = 0

    @property
    def is_sampled(self) -> bool:
        return not self.ready.is_usable


class TimingsReader:
    """Keeps what one reading needs of the one before."""

    def __init__(self, session: Session) -> None:
        self.history = TimingsHistory()
        self.shows_own = False
        self._session = session
        self._sampled = SampledTimings()
        self._guard = Guard()
        self._texts: dict[int, str] = {}
        self._roles: dict[int, str] = {}
        self._found: Installation | None = None
        self._looked_at = datetime.min.replace(tzinfo=UTC)

    async def read(self, interval: float) -> TimingsReading:
        """Every `interval` seconds. Raises ConsoleError kinds."""
        found = await self._installation()
        ready = readiness(found)
        if not ready.is_usable or found.schema is None or found.version is None:
            return await self._sample(ready, interval)
        try:
            return await self._count(found.schema, found.version, ready, interval)
        except QueryFailed:
            self._found = None  # it may have been dropped or updated just now
            raise

    def look_again(self) -> None:
        """Ask anew whether the extension is there, at the next reading."""
        self._found = None

    async def _installation(self) -> Installation:
        now = datetime.now(UTC)
        is_settled = self._found is not None and readiness(self._found).is_usable
        if self._found is None or (not is_settled and now >= self._looked_at + LOOK_AGAIN):
            self._found = await self._session.fetch_one(INSTALLATION)
            self._looked_at = now
        return self._found

    async def _count(
        self, schema: str, version: str, ready: Readiness, interval: float
    ) -> TimingsReading:
        async def counted(connection: Connection) -> tuple[list[Counters], Ledger | None]:
            ledger = await read_ledger(connection, schema, version)
            return await read_counters(connection, schema, version), ledger

        panel = await self._guard.ask("counters", interval, lambda: self._session.ask(counted))
        if isinstance(panel.error, ConsoleError) and panel.answer is None:
            self._found = None
            raise panel.error
        if panel.answer is not None and panel.at is not None and not panel.is_stale:
            counters, ledger = panel.answer
            self.history.add(Snapshot(panel.at, counters, ledger))
            await self._name(schema, counters)
        return self._reading(ready, version, panel.remark)

    async def _name(self, schema: str, counters: Sequence[Counters]) -> None:
        """Ask the texts and roles not known yet; the texts are in a file that is read whole."""
        unknown = {c.id for c in counters if c.id is not None} - self._texts.keys()
        if unknown:
            if len(self._texts) > MOST_TEXTS:
                self._texts.clear()
            found = await self._session.ask(lambda c: read_texts(c, schema, sorted(unknown)))
            missing = dict.fromkeys(unknown, "(its text is not kept)")
            self._texts |= missing | {key: safe(text) for key, text in found.items()}
        if any(c.user_id not in self._roles for c in counters):
            self._roles = {role.id: role.name for role in await self._session.fetch(ROLES)}
            for c in counters:
                self._roles.setdefault(c.user_id, str(c.user_id))

    def _reading(self, ready: Readiness, version: str, remark: str) -> TimingsReading:
        snapshot = self.history.snapshot
        ledger = snapshot.ledger if snapshot else None
        return TimingsReading(
            at=snapshot.at if snapshot else datetime.now(UTC),
            ready=ready,
            version=version,
            timings=timings(self.history, self._texts, self._roles, own=self.shows_own),
            sampled=(),
            since=ledger.reset_at if ledger else None,
            evictions=ledger.evictions if ledger else None,
            hidden=hidden_statements(snapshot) if snapshot else 0,
            notices=tuple(self.history.notices),
            remark=remark,
        )

    async def _sample(self, ready: Readiness, interval: float) -> TimingsReading:
        panel = await self._guard.ask("sample", interval, lambda: read_activity(self._session))
        if panel.answer is not None and not panel.is_stale:
            self._sampled.add(panel.answer.backends, panel.answer.at)
        backends = panel.answer.backends if panel.answer else ()
        return TimingsReading(
            at=datetime.now(UTC),
            ready=ready,
            version=None,
            timings=(),
            sampled=self._sampled.statements,
            since=self._sampled.began,
            evictions=None,
            hidden=sum(backend.is_hidden for backend in backends),
            notices=(),
            remark=panel.remark,
            looks=self._sampled.looks,
        )


def points_key(timing: Timing) -> tuple[int, int, bool]:
    """The key of a timing's history."""
    key = key_of(timing.counters)
    assert key is not None, "a statement that is shown has an id"
    return key
