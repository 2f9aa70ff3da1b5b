"""A rollback carried out: a verified backup first, then the plan in one transaction."""

from __future__ import annotations

from console.backup.dump import Progress
from console.backup.job import Job, carry_out
from console.backup.manifest import Tier, Verdict
from console.errors import ActionRefused
from console.migrations.replay import Report, silent
from console.migrations.rollback import RollbackPlan, execute
from console.settings import Settings
from console.target import Target


async def roll_back(
    target: Target,
    settings: Settings,
    plan: RollbackPlan,
    confirmed: str,
    report: Report = silent,
) -> str:
    """Back up, verify that, run the plan; the backup's id.

    `confirmed` must be the database's name, as someone typed it. Raises as `execute` does, and
    ActionRefused when the backup is not proven good.
    """
    made = ""

    def told(progress: Progress) -> None:
        report(f"backup: {progress.phase}")

    async def back_up() -> None:
        nonlocal made
        job = Job("create", Tier.PRE_DEPLOYMENT, f"before going back to {plan.name}")
        backup = await carry_out(job, target, settings, told)
        if backup.verdict is not Verdict.PASS:
            raise ActionRefused(
                f"The backup {backup.id} could not be verified; nothing was rolled back.",
                "See medianest-console backup verify.",
            )
        made = backup.id

    await execute(target, plan, confirmed, back_up, report)
    return made
