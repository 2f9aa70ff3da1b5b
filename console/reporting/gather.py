"""Asks everything a report needs: the checks, and what the server and the backups say beside them.

A question that cannot be answered leaves its reason in the place of the answer; it never takes the
rest of the report with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from console.backup.retention import Decision, plan_prune
from console.backup.store import Backup, Store
from console.checks import run
from console.checks.storage import history_path
from console.deploy.audit import Audit, audit, parse_server
from console.errors import ConsoleError
from console.lab import result as lab_result
from console.lab.result import LabResult
from console.loadtest import result as load_result
from console.loadtest.result import LoadResult
from console.monitor.timings_reader import TimingsReader, TimingsReading
from console.profile import Profile
from console.profile_choice import choose
from console.report import Report
from console.session import APPLICATION_NAME, Limits, Session
from console.settings import Settings
from console.storage_history import Measured, read_history
from console.target import Target
from queries.build import SERVER_BUILD
from queries.overview import OVERVIEW, Sample
from queries.storage import STORAGE_IDENTITY

T = TypeVar("T")

_PATIENT = Limits(statement_ms=30_000)


@dataclass(frozen=True, slots=True)
class Sources:
    """What to look at beside the database."""

    profile: str | None = None
    deployment: tuple[Path, ...] = ()
    """Compose files, manifests or units."""
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    """The shell's, for compose files."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came back, or why nothing did."""

    value: T | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    at: datetime
    report: Report
    profile: Profile | None
    settings: Settings
    sample: Answer[Sample]
    timings: Answer[TimingsReading]
    sizes: Answer[Sequence[Measured]]
    backups: Answer[Sequence[Backup]]
    """Of this target, the newest first."""
    pruning: tuple[Decision, ...]
    deployment: Answer[Audit]
    load: Answer[LoadResult]
    """The last load test."""
    lab: Answer[LabResult]
    """What the index lab measured last."""


async def gather(
    target: Target,
    settings: Settings,
    sources: Sources,
    report_phase: Callable[[str], None] = lambda _phase: None,
) -> Gathered:
    """Ask it all. Raises ConnectionFailed and the like when there is no session at all, and
    SettingsError for a profile or a deployment's file that cannot be read."""
    choice = await choose(target, sources.profile)
    report_phase("checking")
    report = await run(
        target,
        choice.profile,
        profile_reason=choice.reason,
        backups=settings.backups.directory,
        settings=settings.checks,
    )
    report_phase("asking the server")
    session = Session(target, _PATIENT)
    try:
        await session.connection()
        sample = await _answer(lambda: session.fetch_one(OVERVIEW, {"own_name": APPLICATION_NAME}))
        timings = await _answer(lambda: TimingsReader(session).read(1.0))
        sizes = await _answer(lambda: _sizes(session))
        version = (await session.fetch_one(SERVER_BUILD)).version
    finally:
        await session.close()
    report_phase("reading backups and files")
    backups = await _answer(lambda: _backups(settings, target))
    now = datetime.now(UTC)
    retention = settings.backups.retention
    return Gathered(
        at=now,
        report=report,
        profile=choice.profile,
        settings=settings,
        sample=sample,
        timings=timings,
        sizes=sizes,
        backups=backups,
        pruning=plan_prune(backups.value or (), retention, now),
        deployment=_deployment(sources, version),
        load=await asyncio.to_thread(_load, target),
        lab=await asyncio.to_thread(_lab, target),
    )


async def _answer(ask: Callable[[], Awaitable[T]]) -> Answer[T]:
    try:
        return Answer(await ask())
    except ConsoleError as error:
        return Answer(None, error.message)


async def _sizes(session: Session) -> Sequence[Measured]:
    identity = await session.fetch_one(STORAGE_IDENTITY)
    return await asyncio.to_thread(read_history, history_path(identity))


async def _backups(settings: Settings, target: Target) -> Sequence[Backup]:
    store = Store(settings.backups.directory)
    return await asyncio.to_thread(store.backups, target.name)


def _load(target: Target) -> Answer[LoadResult]:
    try:
        return Answer(load_result.kept(load_result.path_of(target.label)))
    except ConsoleError as error:
        return Answer(None, error.message)


def _lab(target: Target) -> Answer[LabResult]:
    try:
        return Answer(lab_result.kept(lab_result.path_of(target.label)))
    except ConsoleError as error:
        return Answer(None, error.message)


def _deployment(sources: Sources, version: str) -> Answer[Audit]:
    if not sources.deployment:
        return Answer(None, "No deployment's files were named (--deployment FILE).")
    server = parse_server(version)
    return Answer(audit(sources.deployment, variables=sources.variables, server=server))
