"""One look at a target: every tick a cheap row, every minute sizes, daily the certificate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from psycopg import sql

from console import machine, tls
from console.agent.clock import Moment
from console.errors import ConsoleError, TooManyClients
from console.machine import Disk
from console.overview import Rates, rates
from console.session import APPLICATION_NAME, Limits, Session
from console.statements import readiness
from console.target import Target
from queries.agent import LONGEST_LOCK_WAIT, LockWait
from queries.diagnosis import DISK_USE
from queries.overview import DATABASE_SIZE, OVERVIEW, Sample
from queries.statements import INSTALLATION, STATEMENT_TOTALS, StatementTotals
from queries.storage import STORAGE_IDENTITY

_LIMITS = Limits(statement_ms=5_000, lock_ms=1_000, connect_s=5)
_DISKS = 15.0
_MINUTE = 60.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Statements:
    """What ran since the look before; from pg_stat_statements."""

    calls: int
    mean_ms: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look saw; None where it was not looked at, or could not be seen."""

    at: Moment
    up: bool
    problem: str = ""
    """Why it is not up, or why it was not let in."""
    hint: str = ""
    full: bool = False
    """Every connection is taken: the server is there, but nobody gets in."""
    sample: Sample | None = None
    rates: Rates | None = None
    lock_wait: LockWait | None = None
    statements: Statements | None = None
    database_bytes: int | None = None
    disks: Mapping[str, Disk] = field(default_factory=dict)
    """By the directory they were looked at for; empty unless this look was at them."""
    certificate_days: float | None = None
    seconds: float = 0.0
    """How long the cheap part took."""


@dataclass(slots=True)
class Look:
    """Looks at one target, keeping its one connection and what rates are counted from.

    `disks` are directories watched beside the data's own, which is only seen on its machine.
    """

    target: Target
    disks: tuple[Path, ...]
    _session: Session = field(init=False)
    _before: Sample | None = None
    _totals: tuple[Moment, StatementTotals] | None = None
    _statements: sql.Identifier | None = None
    _data: Path | None = None
    _measured: Moment | None = None
    _saw_disks: Moment | None = None
    _seen_certificate: Moment | None = None

    def __post_init__(self) -> None:
        self._session = Session(self.target, _LIMITS)

    async def close(self) -> None:
        await self._session.close()

    async def look(self, now: Moment) -> Reading:
        """What there is to see now. Raises nothing that has to do with the server."""
        disks = await self._disks() if _is_old(self._saw_disks, now, _DISKS) else {}
        if disks:
            self._saw_disks = now
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            sample = await self._session.fetch_one(OVERVIEW, {"own_name": APPLICATION_NAME})
            waits = (
                await self._session.fetch_one(LONGEST_LOCK_WAIT)
                if sample.waiting_for_lock
                else LockWait(None, None, None)
            )
        except TooManyClients as error:
            return Reading(now, True, error.message, error.hint, full=True, disks=disks)
        except ConsoleError as error:
            self._before = self._totals = None
            await self._forget()
            return Reading(now, False, error.message, error.hint, disks=disks)
        seconds = loop.time() - began
        since, self._before = rates(self._before, sample), sample
        reading = Reading(
            now, True, sample=sample, rates=since, lock_wait=waits, disks=disks, seconds=seconds
        )
        return await self._minutely(reading) if _is_old(self._measured, now, _MINUTE) else reading

    async def _forget(self) -> None:
        """A session that a question was lost on may answer the next one late: open another."""
        with contextlib.suppress(ConsoleError, OSError):
            await self._session.close()
        self._session = Session(self.target, _LIMITS)

    async def _minutely(self, reading: Reading) -> Reading:
        first = self._measured is None
        self._measured = reading.at
        size = statements = None
        with contextlib.suppress(ConsoleError):
            size = (await self._session.fetch_one(DATABASE_SIZE)).bytes
            if first or self._statements is None:
                await self._find_what_there_is()
            statements = await self._statement_rates(reading.at)
        disks = reading.disks or await self._disks()
        days = await self._certificate(reading.at)
        return replace(
            reading,
            database_bytes=size,
            statements=statements,
            disks=disks,
            certificate_days=days,
        )

    async def _find_what_there_is(self) -> None:
        """The data's directory where it is on this machine, and pg_stat_statements."""
        identity = await self._session.fetch_one(STORAGE_IDENTITY)
        if machine.runs_here(identity.backend_pid):
            use = await self._session.fetch_one(DISK_USE)
            self._data = Path(use.data_directory) if use.data_directory else None
        found = await self._session.fetch_one(INSTALLATION)
        if readiness(found).is_usable and found.schema is not None:
            self._statements = sql.Identifier(found.schema, "pg_stat_statements")

    async def _statement_rates(self, now: Moment) -> Statements | None:
        if self._statements is None:
            return None
        totals = await self._session.fetch_one(
            STATEMENT_TOTALS, relations={"statements": self._statements}
        )
        before, self._totals = self._totals, (now, totals)
        if before is None:
            return None
        calls, spent = totals.calls - before[1].calls, totals.total_ms - before[1].total_ms
        seconds = now.seconds_since(before[0])
        if calls < 0 or spent < 0 or seconds <= 0:
            return None
        return Statements(calls, spent / calls if calls else 0.0, calls / seconds)

    async def _disks(self) -> dict[str, Disk]:
        places = [*self.disks, *([self._data] if self._data else [])]
        seen = {str(place): await asyncio.to_thread(_disk_of, place) for place in places}
        return {place: disk for place, disk in seen.items() if disk is not None}

    async def _certificate(self, now: Moment) -> float | None:
        """Days until it expires; asked once a day and only over the network."""
        host = self.target.effective.get("host", "")
        port = self.target.effective.get("port", "5432")
        fresh = self._seen_certificate and now.seconds_since(self._seen_certificate) < _DAY
        if fresh or not host or host.startswith("/"):
            return None
        self._seen_certificate = now
        try:
            shown = await asyncio.to_thread(tls.handshake, host, int(port))
        except ConsoleError:
            return None
        return shown.certificate.days_left(now.wall) if shown.certificate else None


def _is_old(last: Moment | None, now: Moment, seconds: float) -> bool:
    return last is None or now.seconds_since(last) >= seconds


def _disk_of(place: Path) -> Disk | None:
    while not place.exists() and place != place.parent:
        place = place.parent
    return machine.disk_of(place)
