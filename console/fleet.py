"""How every target of the settings is right now, asked all at once; one that is down holds up none.

A line's verdict is the worst of what the live figures say, what the agent's alerts say, and, on a
primary, whether there is a proven backup that is not stale. A target that is down is a failure.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from console import cluster as clusters
from console import overview
from console.agent import memory
from console.agent.history import HistoryReader, history_path
from console.agent.presence import read_presence
from console.backup.history import STALE, Newest, Proven
from console.citus import ShardSizes
from console.cluster import Cluster, read_cluster
from console.errors import ConsoleError
from console.findings import Finding, Severity
from console.patience import in_time
from console.pgbackrest.proven import newest_proven
from console.session import APPLICATION_NAME, Limits, Session
from console.settings import Settings, named_target, state_directory
from console.target import Target
from console.units import age
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
    cluster: Cluster = field(default_factory=Cluster)


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
    verified: Proven | None
    """The newest backup that was read whole."""
    drilled: Proven | None
    """The newest backup that was restored in a drill."""
    alerts: tuple[Finding, ...] | None
    """What the agent has raised; None when no agent runs or it does not watch this target."""
    findings: tuple[Finding, ...]
    """What makes the verdict, worst first."""

    @property
    def verdict(self) -> Severity:
        return self.findings[0].severity if self.findings else Severity.OK


class Watch:
    """Looks at every target of the settings again and again, over sessions that stay open."""

    def __init__(self, settings: Settings, patience: float = PATIENCE_SECONDS) -> None:
        """`patience` is in seconds, for each target and for the directory of the backups."""
        self._settings = settings
        self._patience = patience
        self._sessions: dict[str, Session] = {}
        self._shards = ShardSizes()

    async def look(self) -> tuple[Member, ...]:
        """Every target, in the settings' order.

        Raises nothing that has to do with a target: its line says what is wrong.
        """
        names = tuple(self._settings.targets)
        proven, answers = await asyncio.gather(
            self._proven(names), asyncio.gather(*(self._ask(name) for name in names))
        )
        found = await asyncio.to_thread(lambda: {name: _alerts(name) for name in names})
        now = datetime.now(UTC)
        return tuple(
            _member(name, answer, proven.get(name), found[name], now)
            for name, answer in zip(names, answers, strict=True)
        )

    async def close(self) -> None:
        """End the sessions."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _ask(self, name: str) -> Answer:
        label = ""
        try:
            session = self._session(name)
            label = session.target.label
            live = await asyncio.wait_for(_live(session), self._patience)
            return Answer(label, await self._with_sizes(session.target, live))
        except TimeoutError:
            problem = f"No answer within {self._patience:g} s."
        except ConsoleError as error:
            problem = error.message
        if (lost := self._sessions.pop(name, None)) is not None:
            await lost.close()
        return Answer(label, None, problem)

    async def _with_sizes(self, target: Target, live: Live) -> Live:
        """After its own answer, so that a node of Citus that is mute makes no target look down."""
        citus = live.cluster.citus
        if citus is None or not citus.members:
            return live
        sized = citus.with_sizes(await self._shards.of(target))
        return replace(live, cluster=replace(live.cluster, citus=sized))

    def _session(self, name: str) -> Session:
        if name not in self._sessions:
            self._sessions[name] = Session(named_target(self._settings, name), _LIMITS)
        return self._sessions[name]

    async def _proven(self, names: Sequence[str]) -> Mapping[str, Newest]:
        """What the directory of the backups proves of each; nothing when it does not answer."""
        root = self._settings.backups.directory.expanduser()
        try:
            return await in_time(
                self._patience,
                f"backups in {root}",
                lambda: {name: newest_proven(self._settings, name) for name in names},
            )
        except TimeoutError:
            return {}


async def look(settings: Settings, patience: float = PATIENCE_SECONDS) -> tuple[Member, ...]:
    """Every target of the settings, once; as Watch.look."""
    watch = Watch(settings, patience)
    try:
        return await watch.look()
    finally:
        await watch.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of asking one target."""

    label: str
    live: Live | None
    problem: str = ""


def _member(
    name: str,
    answer: Answer,
    proven: Newest | None,
    alerts: tuple[Finding, ...] | None,
    now: datetime,
) -> Member:
    found = list(alerts or ())
    if answer.live is None:
        found.append(Finding("fleet.down", Severity.FAILURE, "", answer.problem))
    else:
        live = answer.live
        found += overview.judge(live.sample, sees_everything=live.server.reads_all_stats)
        found += clusters.judge(live.cluster)
        if not live.place.in_recovery:
            found += _unproven(name, proven, now)
    return Member(
        name,
        now,
        answer.label,
        answer.live,
        answer.problem,
        proven.verified if proven is not None else None,
        proven.drilled if proven is not None else None,
        alerts,
        tuple(sorted(found, key=lambda finding: finding.severity.rank)),
    )


async def _live(session: Session) -> Live:
    sample = await session.fetch_one(OVERVIEW, {"own_name": APPLICATION_NAME})
    place = await session.fetch_one(PLACE)
    size = await session.fetch_one(DATABASE_SIZE)
    assert session.server is not None  # a session that answered knows its server
    return Live(session.server, sample, place, size.bytes, await read_cluster(session))


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


def _unproven(name: str, proven: Newest | None, now: datetime) -> list[Finding]:
    """A warning and no more: the backups of a database may be another tool's."""
    fix = f"medianest-console backup create --target {shlex.quote(name)}"
    if proven is None:
        message, fix = "The directory of the backups does not answer.", ""
    elif proven.verified is None:
        message = "No backup of it is proven."
    elif now - proven.verified.made_at > STALE:
        message = f"Its newest proven backup is from {age(proven.verified.made_at, now)}."
    else:
        return []
    return [Finding("fleet.backup", Severity.WARNING, "", message, fix=fix)]


def worst(members: Sequence[Member]) -> Severity:
    """The verdict over all lines; UNKNOWN when there are none."""
    ranked = sorted((member.verdict for member in members), key=lambda verdict: verdict.rank)
    return ranked[0] if ranked else Severity.UNKNOWN
