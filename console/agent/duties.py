"""What is to be done for a target beside looking at it: make, prove and prune backups, check it.

`next_duty` says what is due, `Duty.work` does it. What comes of it is in the target's memory: what
to tell, when to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from console.agent.clock import Clock, Moment
from console.agent.conditions import Condition, Kind
from console.agent.due import (
    LATER,
    SOON,
    backup_due,
    clock_was_set,
    daily_due,
    drill_due,
)
from console.agent.memory import Checked, Memory
from console.agent.shelf import Shelf
from console.backup.manifest import Tier, Verdict
from console.backup.store import Backup, Store
from console.errors import ActionRefused, ConsoleError
from console.findings import Severity
from console.pitr.archive import Archive
from console.settings import Settings
from console.target import Target
from console.units import duration

BACKUP, VERIFY, DRILL, CHECKS, BASE = "backup", "verify", "drill", "checks", "base"


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do now."""

    what: str
    detail: str
    work: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Duties:
    """One target's. `log` is told what was done; `changed` is called to keep the memory."""

    target: Target
    settings: Settings
    memory: Memory
    clock: Clock
    log: Any
    store: Store = field(init=False)
    _shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.settings.backups.directory)
        self._shelf = Shelf(self.store, self.target.name)

    @property
    def known_backups(self) -> tuple[Backup, ...]:
        """The backups as they were read last, the newest first."""
        return self._shelf.known

    async def backups(self) -> tuple[Backup, ...]:
        """The target's backups. Raises CommandFailed."""
        return await asyncio.to_thread(self._shelf.backups)

    async def next_duty(self) -> Duty | None:
        """What is most urgent of what is due; None when nothing is. Raises CommandFailed."""
        now, agent = self.clock(), self.settings.agent
        backups = await self.backups()
        self._judge_age(backups, now)
        if agent.backups:
            tier = backup_due(backups, self.settings.backups.schedule, self.memory.made, now)
            if tier is not None and self._may_try(BACKUP, now):
                return Duty(BACKUP, str(tier), lambda: self._make_backup(tier))
            new = next((b for b in backups if b.manifest and b.verification is None), None)
            if new is not None and self._may_try(VERIFY, now):
                return Duty(VERIFY, new.id, lambda: self._verify(new))
        proven = next((b for b in backups if b.verdict is Verdict.PASS), None)
        if proven is not None and self._drill_is_due(backups, now):
            return Duty(DRILL, proven.id, lambda: self._drill(proven))
        hour, last = agent.checks_hour, self.memory.done.get(CHECKS)
        if hour is not None and daily_due(hour, last, now) and self._may_try(CHECKS, now):
            return Duty(CHECKS, "", self._check)
        if agent.receive_wal and self._may_try(BASE, now) and await self._base_is_due():
            return Duty(BASE, "", self._make_base)
        return None

    def _may_try(self, what: str, now: Moment, waits: tuple[float, ...] = SOON) -> bool:
        failure = self.memory.failures.get(what)
        return failure is None or failure.again(now, waits)

    def _drill_is_due(self, backups: tuple[Backup, ...], now: Moment) -> bool:
        proofs = [b.drill.at for b in backups if b.drill and b.drill.verdict is Verdict.PASS]
        last = self.memory.done.get(DRILL)
        every = self.settings.agent.drill
        return self._may_try(DRILL, now, LATER) and drill_due(
            every, last, max(proofs, default=None), now
        )

    def _judge_age(self, backups: tuple[Backup, ...], now: Moment) -> None:
        """Whether the newest verified backup is too old; not asked where none are to be made."""
        if self.memory.first_seen is None:
            self.memory.first_seen = now
        if not (self.settings.agent.backups and self.settings.backups.schedule.tiers):
            return
        newest = next((b for b in backups if b.verdict is Verdict.PASS), None)
        if newest is None:
            seconds = now.seconds_since(self.memory.first_seen)
            message = "There is no verified backup."
        else:
            seconds = self.age(newest, now)
            message = f"The newest verified backup is {duration(seconds)} old."
        limit = self.settings.agent.alerts.thresholds.backup_overdue_hours * 3600
        self.memory.stand(
            Condition(
                Kind.BACKUP_OVERDUE,
                "",
                seconds > limit,
                "failure",
                message,
                "The agent's log says what stands in the way; `backup create` makes one now.",
            )
        )

    def age(self, backup: Backup, now: Moment) -> float:
        """Seconds since a backup was made; by uptime for the agent's own."""
        made = self.memory.made.get(backup.id)
        if made is not None:
            return now.seconds_since(made)
        return max(0.0, (now.wall - backup.made_at).total_seconds())

    async def _carry_out(self, what: str, kind: Kind, work: Awaitable[Backup]) -> Backup | None:
        """Do work on a backup; what goes wrong is told and tried again later."""
        try:
            backup = await work
        except ActionRefused as error:
            # Somebody else is at work, or the disk is too small: the words say which.
            self._fail(what, kind, error)
            return None
        except ConsoleError as error:
            self._fail(what, kind, error)
            return None
        if what != BACKUP:
            self.memory.succeeded(what)
        self.memory.stand(Condition(kind, "", holds=False))
        return backup

    def _fail(self, what: str, kind: Kind, error: ConsoleError, subject: str = "") -> None:
        self.memory.failed(what, self.clock())
        self.memory.stand(Condition(kind, subject, True, "failure", error.message, error.hint))
        self.log.error("failed", work=what, message=error.message, hint=error.hint)

    async def _job(self, **what: Any) -> Backup:
        from console.backup.dump import silent
        from console.backup.job import Job, carry_out

        return await carry_out(Job(**what), self.target, self.settings, silent)

    async def _make_backup(self, tier: Tier) -> None:
        began = self.clock()
        work = self._job(kind="create", tier=tier, note="by the agent", unverified=True)
        backup = await self._carry_out(BACKUP, Kind.BACKUP_FAILED, work)
        if backup is None:
            return
        self.memory.made[backup.id] = began
        size = backup.manifest.bytes if backup.manifest else 0
        self.log.info("backup made", backup=backup.id, bytes=size)
        await self._verify(backup)
        await self._prune()

    async def _verify(self, backup: Backup) -> None:
        work = self._job(kind="verify", backup=backup.id)
        verified = await self._carry_out(VERIFY, Kind.VERIFICATION_FAILED, work)
        if verified is None:
            return
        proof = verified.verification
        passed = verified.verdict is Verdict.PASS
        if verified.verdict is Verdict.FAIL:
            self.memory.failed(BACKUP, self.clock())
        else:
            self.memory.succeeded(BACKUP)
        reason = proof.reason if proof else ""
        self.log.info("backup verified", backup=backup.id, verdict=str(verified.verdict))
        self.memory.stand(
            Condition(
                Kind.VERIFICATION_FAILED,
                "",
                not passed,
                "failure",
                f"The backup {backup.id} is not proven: {verified.verdict} ({reason}).",
                f"`backup show {backup.id}` tells all; another is made when one is due.",
            )
        )

    async def _prune(self) -> None:
        from console.backup.prune import prune

        if clock_was_set(self.memory.made.values(), self.clock()):
            self.log.warning("not pruned", message="The clock was set: ages may be mistaken.")
            return
        retention = self.settings.backups.retention
        try:
            pruned = await asyncio.to_thread(
                prune, self.store, self.target.name, retention, dry_run=False, now=self.clock().wall
            )
        except ConsoleError as error:
            self.log.warning("not pruned", message=error.message)
            return
        self.memory.forget_backups_but(backup.id for backup in await self.backups())
        if pruned.removed:
            self.log.info("pruned", backups=list(pruned.removed), freed_bytes=pruned.freed_bytes)

    async def _drill(self, backup: Backup) -> None:
        work = self._job(kind="drill", backup=backup.id)
        drilled = await self._carry_out(DRILL, Kind.DRILL_FAILED, work)
        if drilled is None or drilled.drill is None:
            return
        passed = drilled.drill.verdict is Verdict.PASS
        self.log.info("drilled", backup=backup.id, verdict=str(drilled.drill.verdict))
        if passed:
            self.memory.done[DRILL] = self.clock()
        else:
            self.memory.failed(DRILL, self.clock())
        self.memory.stand(
            Condition(
                Kind.DRILL_FAILED,
                "",
                not passed,
                "failure",
                f"Restoring {backup.id} for trial did not pass: {drilled.drill.reason}.",
                f"`backup show {backup.id}` tells all of it.",
            )
        )

    async def _check(self) -> None:
        from console import checks
        from console.profile_choice import choose

        now = self.clock()
        try:
            choice = await choose(self.target)
            report = await checks.run(
                self.target,
                choice.profile,
                profile_reason=choice.reason,
                backups=self.settings.backups.directory,
                settings=self.settings.checks,
            )
        except ConsoleError as error:
            self.memory.failed(CHECKS, now)
            self.log.error("failed", work=CHECKS, message=error.message, hint=error.hint)
            return
        self.memory.succeeded(CHECKS)
        self.memory.done[CHECKS] = now
        failing = {
            result.id: result.summary
            for result in report.results
            if result.severity is Severity.FAILURE
        }
        before = self.memory.checked
        known = set(failing if before is None else before.known) & set(failing)
        counts = {str(severity): 0 for severity in Severity}
        for result in report.results:
            counts[str(result.severity)] += 1
        self.memory.checked = Checked(now.wall, counts, tuple(failing), tuple(sorted(known)))
        self._stand_checks(failing, known)
        self.log.info("checked", verdict=str(report.verdict), **counts)

    def _stand_checks(self, failing: dict[str, str], known: set[str]) -> None:
        stood = [c.subject for c in self.memory.standing.values() if c.kind is Kind.CHECK]
        for name in {*stood, *failing} - known:
            summary = failing.get(name, "")
            self.memory.stand(
                Condition(
                    Kind.CHECK,
                    name,
                    name in failing,
                    "failure",
                    f"{name} fails: {summary}.",
                    f"`check --only {name}` shows it and what mends it.",
                )
            )

    async def _base_is_due(self) -> bool:
        from console.pitr import archive as archives
        from console.pitr.due import base_is_due

        archive = await asyncio.to_thread(archives.find, self.settings.pitr, self.target.name)
        if archive is None or archive.info.source:
            return False
        return await asyncio.to_thread(base_is_due, archive, self.settings.pitr, self.clock().wall)

    async def _make_base(self) -> None:
        from console.pitr import archive as archives
        from console.pitr.base import make_base, verify_base

        archive = await asyncio.to_thread(archives.require, self.settings.pitr, self.target.name)

        def tell(line: str) -> None:
            self.log.info("base backup", message=line)

        try:
            base = await make_base(self.target, self.settings, archive, tell=tell)
            base = await verify_base(archive, base, self.settings, tell)
        except ConsoleError as error:
            self._fail(BASE, Kind.BACKUP_FAILED, error, BASE)
            return
        self.memory.succeeded(BASE)
        self.memory.stand(Condition(Kind.BACKUP_FAILED, BASE, holds=False))
        self.log.info("base backup made", base=base.id, verdict=str(base.verdict))
        await self._prune_wal(archive)

    async def _prune_wal(self, archive: Archive) -> None:
        """Base backups and WAL that no way back needs, while the clock can be trusted."""
        from console.pitr.retention import prune

        if clock_was_set(self.memory.made.values(), self.clock()):
            self.log.warning("WAL not pruned", message="The clock was set: ages may be mistaken.")
            return
        try:
            decided = await asyncio.to_thread(prune, archive, self.settings.pitr, dry_run=False)
        except ConsoleError as error:
            self.log.warning("WAL not pruned", message=error.message)
            return
        going = [decision.base.id for decision in decided.bases if not decision.keep]
        if going or decided.wal:
            self.log.info("WAL pruned", bases=going, segments=len(decided.wal))
