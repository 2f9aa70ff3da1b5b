"""A restore in a process of its own: it outlives the session that began it, and all can watch.

Who begins takes the locks and hands them on, so that there is no moment without. The order goes
through standard input: no password is in a file, an argument or the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import queries
from console.backup.store import explained
from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.output import complain, tell
from console.restore import journal as journals
from console.restore import turn
from console.restore.journal import Event, Journal, Locks, reason_of
from console.restore.options import read_options, write_options
from console.restore.plan import Plan, write_expected_rows
from console.restore.status import all_status, read_status
from console.restore.steps import Work
from console.settings import Settings
from console.target import Target
from queries.restore import RESTORE_ABILITIES

Action = Literal["resume", "abort", "undo", "finish"]

_ACTIONS: dict[Action, Callable[[Work], Awaitable[None]]] = {
    "resume": turn.restore,
    "abort": turn.abort,
    "undo": turn.undo,
    "finish": turn.finish,
}
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Order:
    directory: Path
    action: Action
    target: Target
    settings: Settings


async def begin(plan: Plan, target: Target, settings: Settings, *, confirmed: bool) -> Path:
    """Begin a restore in the background; its directory, to watch with `read_status`.

    Unless `confirmed`, it stops before the cut-over and waits for `go_on(..., confirmed=True)`.
    Raises ActionRefused when the plan may not begin, or another restore of the database is open.
    """
    plan.require()
    options = plan.options
    for status in all_status():
        same = status.options.system_identifier == options.system_identifier
        if same and status.is_open and status.options.database == options.database:
            raise ActionRefused(
                f"The restore {status.id} of '{options.database}' is not over: it is"
                f" {status.phase}{'' if status.running is None else ' and running'}.",
                f"`restore {' or '.join(status.actions) or 'status'} {status.id}` first.",
            )
    directory = journals.create(options.id)
    try:
        locks = journals.take_locks(directory, options.system_identifier, options.database)
        try:
            write_options(directory, options)
            if plan.preflight.rows:
                write_expected_rows(directory, plan.preflight.rows)
            if confirmed:
                Journal(directory).note("confirmed")
            await _launch(Order(directory, "resume", target, settings), locks)
        finally:
            locks.close()
    except BaseException:
        # Who stopped waiting may have done so after the process had taken over.
        if journals.running_pid(directory) is None:
            shutil.rmtree(directory, ignore_errors=True)
        raise
    return directory


async def go_on(
    directory: Path, action: Action, target: Target, settings: Settings, *, confirmed: bool = False
) -> None:
    """Resume, abort, undo or finish a restore in the background; a running one is stopped first.

    Raises ActionRefused when that may not be done now.
    """
    if action == "abort":
        await _stop(directory)
    options = read_options(directory)
    locks = journals.take_locks(directory, options.system_identifier, options.database)
    try:
        read_status(directory, held_by_us=True).require(action)
        if confirmed:
            Journal(directory).note("confirmed")
        await _launch(Order(directory, action, target, settings), locks)
    finally:
        locks.close()


async def _stop(directory: Path) -> None:
    status = read_status(directory)
    if not status.running:
        return
    status.require("abort")
    os.kill(status.running, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while journals.running_pid(directory) is not None:
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"The restore {status.id} (pid {status.running}) has not stopped yet.",
                "Wait a little, then try again.",
            )
        await asyncio.sleep(0.05)


async def _launch(order: Order, locks: Locks) -> None:
    path = order.directory / journals.LOG
    with explained(order.directory):
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    descriptors = (locks.target, locks.journal)

    def launch() -> None:
        with os.fdopen(log, "wb") as output:
            # The child forks again at once, so it is no child of ours and never a zombie.
            subprocess.run(
                [sys.executable, "-m", "console.restore.run", *map(str, descriptors)],
                input=pickle.dumps(order),
                stdout=output,
                stderr=output,
                pass_fds=descriptors,
                start_new_session=True,
                check=True,
            )

    try:
        await asyncio.to_thread(launch)
    except (OSError, subprocess.SubprocessError) as error:
        raise CommandFailed(
            "The background process did not begin its work.", f"Read its log, {path}."
        ) from error


async def carry_out(order: Order) -> None:
    """Do what is ordered, holding the locks. Raises ConsoleError kinds, which it journals."""
    work = Work(
        Journal(order.directory), read_options(order.directory), order.target, order.settings
    )
    before = len(work.journal.entries)
    try:
        await _require_same_server(work)
        await _ACTIONS[order.action](work)
    except BaseException as error:
        # Steps journal their own failures; this is for what fails between them.
        if not any(entry.event is Event.FAILED for entry in work.journal.entries[before:]):
            with contextlib.suppress(CommandFailed):
                work.journal.append(order.action, Event.FAILED, None, **reason_of(error))
        raise


async def _require_same_server(work: Work) -> None:
    async with work.standing() as connection:
        abilities = await queries.fetch_one(connection, RESTORE_ABILITIES)
    if abilities.system_identifier != work.options.system_identifier:
        raise ActionRefused(
            f"{work.target.place} is not the server this restore began on ({work.options.place}).",
            "Name the target it began with.",
        )


async def _work(order: Order) -> None:
    task = asyncio.ensure_future(carry_out(order))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        tell("Stopped.")
    except ConsoleError as error:
        complain(error)


def main() -> None:
    """The process itself: `python -m console.restore.run LOCK LOCK`, the order on stdin."""
    locks = Locks(*map(int, sys.argv[1:3]))
    order = pickle.loads(sys.stdin.buffer.read())
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for descriptor in (locks.target, locks.journal):
        os.set_inheritable(descriptor, False)
    journals.write_pid(locks)
    asyncio.run(_work(order))


if __name__ == "__main__":
    main()
