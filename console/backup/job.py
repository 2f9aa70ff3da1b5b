"""One piece of work on a target's backups, from beginning to end: make, verify or drill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from console import checks
from console.backup.drill import DrillOptions, ProfileChecks, drill
from console.backup.dump import Progress, create_backup
from console.backup.load import LoadProgress
from console.backup.manifest import Tier
from console.backup.snapshot import server_major
from console.backup.store import Backup, Store, load
from console.backup.verify import verify
from console.findings import Finding
from console.profile_choice import choose
from console.settings import Settings
from console.target import Target
from console.tools import find_tools

if TYPE_CHECKING:
    from console.offsite.push import Pushed

_PROVED_BY_A_DRILL = ("schema", "data", "migrations")
"""Categories of checks that speak of what was restored, not of the server it runs on."""

Kind = Literal["create", "verify", "drill"]
Place = Literal["server", "temporary"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done; `backup` names the one to verify or drill."""

    kind: Kind
    tier: Tier = Tier.MANUAL
    note: str = ""
    unverified: bool = False
    """Leave a new backup unverified."""
    backup: str = "latest"
    place: Place = "server"
    """Where a drill restores: the target's server, or one of our own."""


async def carry_out(
    job: Job, target: Target, settings: Settings, report: Callable[[Progress], None]
) -> Backup:
    """Do the job; the backup as it is then. Raises ConsoleError kinds; may be cancelled."""
    store = Store(settings.backups.directory)

    def tell(phase: str) -> None:
        report(Progress(phase))

    if job.kind == "create":
        tools = await find_tools(await server_major(target), settings.tools, target=target)
        backup = await create_backup(
            target, store, settings.backups, tools, tier=job.tier, note=job.note, report=report
        )
        if job.unverified:
            return backup
        tell("verifying")
        backup = await verify(store, backup, settings.tools, tell)
        await copy_out(store, target.name, settings, report, only=backup.id)
        return load(backup.path)
    backup = store.find(job.backup, target.name)
    if job.kind == "verify":
        return await verify(store, backup, settings.tools, tell)

    def tell_load(progress: LoadProgress) -> None:
        report(Progress(progress.phase, table=progress.table))

    options = DrillOptions(
        place=job.place, jobs=settings.backups.jobs, profile_checks=checks_of(target)
    )
    return await drill(store, backup, target, settings.backups, settings.tools, options, tell_load)


async def copy_out(
    store: Store,
    target: str,
    settings: Settings,
    report: Callable[[Progress], None],
    *,
    only: str | None = None,
) -> tuple[Pushed, ...]:
    """Copy verified backups to the stores of the settings that are automatic.

    A store that fails is told in the answer and in the backup's record, not raised.
    """
    stores = {name: place for name, place in settings.offsite.items() if place.automatic}
    if not stores:
        return ()
    from console.offsite.push import push_missing

    return await push_missing(store, target, stores, report, only=only)


def checks_of(target: Target) -> ProfileChecks:
    """The readiness checks that the target's profile asks of a restored copy of it."""

    async def run(restored: Target) -> Sequence[Finding]:
        choice = await choose(replace(restored, profile=target.profile, schema=target.schema))
        if choice.profile is None:
            return ()
        report = await checks.run(restored, choice.profile, only=_PROVED_BY_A_DRILL)
        return report.findings

    return run
