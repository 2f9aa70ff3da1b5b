"""A drill: recover to a random moment, look whether it is sound, write down how long it took."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime

import queries
from console.backup.drill import amcheck, judge_findings
from console.backup.job import checks_of
from console.backup.manifest import Check, Verdict, proof
from console.errors import ActionRefused, ConsoleError
from console.pitr.archive import Archive
from console.pitr.base import Base, add_proof
from console.pitr.side import Side, Tell, drop, promote_side, recover
from console.pitr.status import Status, read_status
from console.pitr.targets import Stop, Wanted, resolve
from console.session import connect
from console.settings import Settings
from console.target import Target
from console.tools import Tools
from console.units import duration
from queries.backup import DATABASE_SETTINGS

_OWN_SEARCH_PATH = '"$user", public'


async def drill(
    archive: Archive,
    settings: Settings,
    target: Target,
    tools: Tools,
    tell: Tell = lambda line: None,
    *,
    wanted: Wanted | None = None,
) -> Base:
    """Recover to `wanted`, or to any moment of what can be recovered, and record the result.

    The base backup it began with, as it is then. Nothing live is touched, and the copy is dropped.
    Raises ActionRefused when there is nothing to recover, CommandFailed when the result cannot be
    written down.
    """
    began = time.monotonic()
    status = await asyncio.to_thread(read_status, archive, settings)
    chosen = wanted or any_moment(status)
    stop = await resolve(archive, chosen, tools)
    tell(f"recovering to {chosen.words}")
    checks: list[Check] = []
    seconds: float | None = None
    try:
        side = await recover(archive, settings, stop, tools, tell)
    except ConsoleError as error:
        checks.append(Check(f"recovery to {chosen.words}", Verdict.FAIL, str(error)))
    else:
        try:
            seconds = side.info.reached.seconds if side.info.reached else None
            checks += await _checks(side, stop, status, target, tell)
        finally:
            await asyncio.shield(asyncio.to_thread(drop, side))
    place = f"a side server of PostgreSQL {archive.info.major}"
    found = proof("drill", checks, time.monotonic() - began, place=place, restore_seconds=seconds)
    return await asyncio.to_thread(add_proof, stop.base, found)


def any_moment(status: Status, chance: random.Random | None = None) -> Wanted:
    """A moment of any window, each second as likely as every other. Raises ActionRefused."""
    spans = [
        (window.from_time, (window.to_time - window.from_time).total_seconds())
        for window in status.windows
        if window.to_time is not None and window.to_time > window.from_time
    ]
    if not spans:
        raise ActionRefused(
            "There is no moment to recover to yet.", "`pitr base` makes a base backup."
        )
    dice = chance or random.SystemRandom()
    (start, length) = dice.choices(spans, [length for _, length in spans])[0]
    at = datetime.fromtimestamp(start.timestamp() + dice.random() * length, UTC)
    return Wanted("time", at.isoformat())


async def _checks(
    side: Side, stop: Stop, status: Status, target: Target, tell: Tell
) -> list[Check]:
    reached = side.info.reached
    checks = [
        Check(
            f"recovered to {stop.wanted.words}",
            Verdict.PASS if reached is not None and reached.as_asked else Verdict.FAIL,
            reached.answer if reached else "not known",
        ),
        _recovery_point(status),
    ]
    try:
        restored = side.target(target.dbname)
        tell("running the profile's checks")
        findings = await checks_of(target)(restored)
        checks += [judge_findings(findings)] if findings else []
        tell("checking indexes against their tables")
        if not side.info.promoted:
            await promote_side(side)
        found = await amcheck(restored, await _search_path(restored))
        what, answer = "every B-tree index (amcheck)", "amcheck is not installed here"
        checks += found or [Check(what, Verdict.COULD_NOT_VERIFY, answer)]
    except ConsoleError as error:
        checks.append(Check("what was recovered", Verdict.COULD_NOT_VERIFY, str(error)))
    return checks


def _recovery_point(status: Status) -> Check:
    """How much would have been lost, had the server gone when the drill began."""
    what = "the recovery point"
    if not status.archive.info.slot:
        return Check(what, Verdict.PASS, "told by the existing archive's last segment")
    if status.receiver_pid is None or status.recovery_age is None:
        return Check(what, Verdict.COULD_NOT_VERIFY, "nothing receives WAL")
    return Check(what, Verdict.PASS, f"{duration(status.recovery_age)} old")


async def _search_path(restored: Target) -> str:
    """The database's own, which functions in its indexes may need."""
    async with connect(restored) as connection:
        rows = await queries.fetch(connection, DATABASE_SETTINGS)
    for row in rows:
        name, _, value = row.setting.partition("=")
        if name == "search_path" and not row.role:
            return value
    return _OWN_SEARCH_PATH
