"""How every target of the settings is right now, asked all at once; one that is down holds up none.

A line's verdict is the worst of what the live figures say, what the agent's alerts say, and, on a
primary, whether there is a proven backup that is not stale. A target that is down is a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from console import overview
from console.agent import memory
from console.agent.history import HistoryReader, history_path
from console.agent.presence import read_presence
from console.backup.history import STALE, newest_proven
from console.backup.store import Backup, Store
from console.errors import ConsoleError
from console.findings import Finding, Severity
from console.session import APPLICATION_NAME, Limits, Session
from console.settings import Settings, named_target, state_directory
from queries.overview import DATABASE_SIZE, OVERVIEW, Sample
from queries.replication import PLACE, Place
from queries.server import Server

PATIENCE_SECONDS = 5.0
"""How long one target may take to answer before it counts as down."""

_LIMITS = Limits(statement_ms=4_000, lock_ms=1_000, connect_s=4)


@dataclass(frozen=True, slots=True)
class Live:
    """What a target's server answered."""

    server: Server
    sample: Sample
    place: Place
    database_bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """One target's line."""

    name: str
    at: datetime
    """When it was asked, in UTC."""
    label: str
    """Database and place, or '' when its entry in the settings cannot be used."""
    live: Live | None
    """None when it did not answer; `problem` says why."""
    problem: str
    verified: Backup | None
    """The newest backup that was read whole."""
    drilled: Backup | None
    """The newest backup that was restored in a drill."""
    alerts: tuple[Finding, ...] | None
    """What the agent has raised; None when no agent runs or it does not watch this target."""
    findings: tuple[Finding, ...]
    """What makes the verdict, worst first."""

    @property
    def verdict(self) -> Severity:
        return self.findings[0].severity if self.findings else Severity.OK


async def look(settings: Settings, patience: float = PATIENCE_SECONDS) -> tuple[Member, ...]:
    """Every target of the settings, in their order; `patience` in seconds, for each.

    Raises nothing that has to do with a target: its line says what is wrong.
    """
    return tuple(
        await asyncio.gather(*(_member(settings, name, patience) for name in settings.targets))
    )


async def _member(settings: Settings, name: str, patience: float) -> Member:
    label, live, problem = "", None, ""
    session: Session | None = None
    try:
        target = named_target(settings, name)
        label, session = target.label, Session(target, _LIMITS)
        live = await asyncio.wait_for(_live(session), patience)
    except TimeoutError:
        problem = f"No answer within {patience:g} s."
    except ConsoleError as error:
        problem = error.message
    finally:
        if session is not None:
            await session.close()
    proven = await asyncio.to_thread(newest_proven, Store(settings.backups.directory), name)
    alerts = await asyncio.to_thread(_alerts, name)
    now = datetime.now(UTC)
    return Member(
        name,
        now,
        label,
        live,
        problem,
        proven.verified,
        proven.drilled,
        alerts,
        _judged(live, problem, proven.verified, alerts or (), now),
    )


async def _live(session: Session) -> Live:
    sample = await session.fetch_one(OVERVIEW, {"own_name": APPLICATION_NAME})
    place = await session.fetch_one(PLACE)
    size = await session.fetch_one(DATABASE_SIZE)
    assert session.server is not None  # a session that answered knows its server
    return Live(session.server, sample, place, size.bytes)


def _alerts(name: str) -> tuple[Finding, ...] | None:
    """What a running agent has raised; one that stopped knows nothing of now."""
    presence = read_presence(state_directory())
    if presence is None or not presence.running or name not in presence.targets:
        return None
    try:
        book = memory.recall(HistoryReader(history_path()), name).book
    except ConsoleError:
        return None
    return tuple(
        Finding(
            f"agent.{alert.kind}",
            Severity.FAILURE if alert.severity == "failure" else Severity.WARNING,
            alert.subject,
            alert.message,
            fix=alert.hint,
        )
        for alert in book.values()
        if alert.is_raised
    )


def _judged(
    live: Live | None,
    problem: str,
    verified: Backup | None,
    alerts: Sequence[Finding],
    now: datetime,
) -> tuple[Finding, ...]:
    found = list(alerts)
    if live is None:
        found.append(Finding("fleet.down", Severity.FAILURE, "", problem))
    else:
        found += overview.judge(live.sample, sees_everything=live.server.reads_all_stats)
        if not live.place.in_recovery:
            found += _unproven(verified, now)
    return tuple(sorted(found, key=lambda finding: finding.severity.rank))


def _unproven(verified: Backup | None, now: datetime) -> list[Finding]:
    """A warning and no more: the backups of a database may be another tool's."""
    fix = "medianest-console backup create --target NAME"
    if verified is None:
        message = "No backup of it is proven."
    elif now - verified.made_at > STALE:
        message = "Its newest proven backup is stale."
    else:
        return []
    return [Finding("fleet.backup", Severity.WARNING, "", message, fix=fix)]


def worst(members: Sequence[Member]) -> Severity:
    """The verdict over all lines; UNKNOWN when there are none."""
    ranked = sorted((member.verdict for member in members), key=lambda verdict: verdict.rank)
    return ranked[0] if ranked else Severity.UNKNOWN
