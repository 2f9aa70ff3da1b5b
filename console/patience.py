"""Blocking work that may hang, such as reading a directory on a share whose server is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from console.errors import ConsoleError

Answer = TypeVar("Answer")

_at_work: dict[str, threading.Thread] = {}


async def in_time(seconds: float, what: str, work: Callable[[], Answer]) -> Answer:
    """What `work` returns, or the ConsoleError or OSError that it raises.

    Raises TimeoutError when it takes longer than `seconds`, and for any other error of it.

    It runs in a thread of its own that nothing waits for when the program ends, unlike
    asyncio.to_thread's, of which a few that hang would also hold up all others. While an earlier
    call named `what` still hangs, no other one is begun.
    """
    if (thread := _at_work.get(what)) is not None and thread.is_alive():
        raise TimeoutError
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except (ConsoleError, OSError) as error:
            _tell(loop, answer.set_exception, answer, error)
        else:
            _tell(loop, answer.set_result, answer, result)

    thread = threading.Thread(target=run, name=what, daemon=True)
    _at_work[what] = thread
    thread.start()
    return await asyncio.wait_for(answer, seconds)


def _tell(
    loop: asyncio.AbstractEventLoop,
    settle: Callable[[Any], None],
    answer: asyncio.Future[Any],
    value: object,
) -> None:
    """Hand the value to the loop, unless nobody waits for it any more."""

    def hand_over() -> None:
        if not answer.done():
            settle(value)

    if not loop.is_closed():
        loop.call_soon_threadsafe(hand_over)
