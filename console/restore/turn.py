"""The steps that touch the live name, and the ends of a restore: cut-over, undo, finish, abort."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.process import Command, run
from console.restore import names, swap
from console.restore.journal import Event
from console.restore.options import words_of
from console.restore.properties import apply_properties, copy_properties, recorded_properties
from console.restore.source import reopened
from console.restore.status import Phase
from console.restore.steps import Work, drop_scratch, prepare
from console.session import connect
from console.tools import with_database


async def restore(work: Work) -> None:
    """Go on from wherever the journal stands, to the end or to what has to be confirmed first.

    Raises ConsoleError kinds.
    """
    if work.state.phase is Phase.UNDOING:
        await undo(work)
        return
    state = work.state
    if "swap" not in state.done and state.phase is not Phase.CUTTING:
        await prepare(work)
        if work.options.replaces is not None and not work.state.confirmed:
            return
    if "swap" not in state.done:
        await _cut_over(work)
    await _check_health(work)


async def _cut_over(work: Work) -> None:
    planned = work.options.swap_with(_restored(work))
    if await _was_committed(work, planned, "swap"):
        return
    await _heal(work, planned)
    with work.journal.step("properties"):
        await _give_properties(work, planned)
    hooks = work.options.hooks
    if hooks.before:
        with work.journal.step("hook-before"):
            await _run_hook(hooks.before, hooks.timeout_seconds)
    try:
        await swap.cut_over(
            work.target,
            planned,
            step=work.journal.step,
            opened=lambda: work.journal.note("opened"),
            patience=work.options.patience_seconds,
        )
    except BaseException:
        # What the first hook has stopped is not left standing still.
        if hooks.before and "swap" not in work.state.done:
            await asyncio.shield(_run_last_hook(work, "hook-back"))
        raise


async def _heal(work: Work, planned: swap.Swap) -> None:
    """Open the door that a killed cut-over may have left closed."""
    if work.state.phase in (Phase.CUTTING, Phase.UNDOING):
        await swap.open_door(work.target, planned)
        work.journal.note("opened")


async def _was_committed(work: Work, planned: swap.Swap, step: str) -> bool:
    """Whether a killed process had changed the names already; then the journal catches up."""
    async with work.standing() as connection:
        done = await swap.is_done(connection, planned)
    if done:
        await swap.open_door(work.target, planned)
        work.journal.append(step, Event.DONE, found_done=True)
    return done


def _restored(work: Work) -> int:
    oid = work.state.scratch_oid
    if oid is None:
        raise ActionRefused("Nothing was restored yet.", "Resume or abort this restore.")
    return oid


async def _give_properties(work: Work, planned: swap.Swap) -> None:
    options = work.options
    async with work.standing() as connection:
        if planned.leaving is not None:
            await copy_properties(connection, planned.leaving, planned.entering)
            return
        manifest = reopened(options.archive, options.backup).manifest
        recorded = (
            recorded_properties(manifest, options.owner, privileges=options.privileges)
            if manifest is not None
            else None
        )
        if recorded is not None:
            await apply_properties(connection, recorded, planned.entering)


async def _run_hook(command: str, seconds: float) -> None:
    """Raises CommandFailed when it fails, or takes longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            finished = await run(Command(words_of(command)))
    except TimeoutError as error:
        raise CommandFailed(
            f"The hook `{command}` took longer than {seconds:g} s.", "Run it by hand, then resume."
        ) from error
    if finished.returncode != 0:
        raise finished.failure(f"The hook `{command}` failed", "Run it by hand, then resume.")


async def _run_last_hook(work: Work, step: str) -> None:
    hooks = work.options.hooks
    if not hooks.after:
        return
    try:
        with work.journal.step(step):
            await _run_hook(hooks.after, hooks.timeout_seconds)
    except ConsoleError as error:
        work.warn(error.message)


async def _check_health(work: Work) -> None:
    """Reach the restored database by its name, as any client does, and tell the whole time."""
    options, state = work.options, work.state
    if "health" in state.done:
        return
    entries = work.journal.entries
    with work.journal.step("health") as made:
        async with connect(with_database(work.target, options.database)) as connection:
            row = await swap.by_name(connection, options.database)
        if row is None or row.oid != state.scratch_oid:
            raise CommandFailed(
                f"'{options.database}' is not the restored database.",
                "Look at the databases; `restore undo` puts the old one back.",
            )
        made["total_seconds"] = round((datetime.now(UTC) - entries[0].at).total_seconds(), 3)
    if "hook-after" not in work.state.done:
        await _run_last_hook(work, "hook-after")


async def undo(work: Work) -> None:
    """Give the live name back to the database that had it. Raises ConsoleError kinds."""
    options = work.options
    if options.replaces is None:
        raise ActionRefused("No database was replaced.", "Drop the restored one by hand.")
    aside = names.restored(options.database, options.stamp)
    planned = swap.Swap(options.database, options.replaces, _restored(work), aside)
    if await _was_committed(work, planned, "undo-swap"):
        return
    await _heal(work, planned)

    def step(name: str) -> AbstractContextManager[dict[str, Any]]:
        return work.journal.step(f"undo-{name}")

    await swap.cut_over(
        work.target,
        planned,
        step=step,
        opened=lambda: work.journal.note("opened"),
        patience=options.patience_seconds,
    )


async def finish(work: Work) -> None:
    """Drop the database that is kept. Raises ConsoleError kinds."""
    undone = work.state.phase is Phase.UNDONE
    oid = _restored(work) if undone else work.options.replaces
    with work.journal.step("finish") as made:
        if oid is not None:
            async with work.standing() as connection:
                made["dropped"] = await swap.drop(connection, oid, but_never=work.options.database)


async def abort(work: Work) -> None:
    """Take back all of a restore that has not given the name away. Raises ConsoleError kinds."""
    oid, options = work.state.scratch_oid, work.options
    stopped = "hook-before" in work.state.done
    if oid is not None:
        planned = options.swap_with(oid)
        if await _was_committed(work, planned, "swap"):
            raise ActionRefused(
                f"'{options.database}' is the restored database already.",
                "`restore resume` ends it properly; `restore undo` puts the old one back.",
            )
        await _heal(work, planned)
    with work.journal.step("abort") as made:
        async with work.standing() as connection:
            made["dropped"] = await drop_scratch(connection, work)
    if stopped:
        await _run_last_hook(work, "hook-back")
