"""Messages go out through Apprise, each in a thread of its own that nobody waits for at the end.

A service that does not answer keeps its own thread busy, and no one else: the agent goes on, and
so do the other receivers.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence

from console.agent.clock import Clock
from console.agent.outbox import Address, Message, Outbox

_SECONDS = 30.0
"""Until a service that does not answer counts as one that failed."""
_TICK = 1.0

Keep = Callable[[], Awaitable[None]]
"""Writes the outbox down."""

Report = Callable[[Message, bool], None]
"""Told of each attempt, and whether it was delivered."""


def deliver(address: Address, title: str, body: str, *, severity: str, good: bool) -> bool:
    """Send one message and wait for the service; whether it took it. Blocks: use a thread."""
    import apprise

    # Its log lines name addresses, and so may tell a secret.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    kinds = {"warning": apprise.NotifyType.WARNING, "failure": apprise.NotifyType.FAILURE}
    sender = apprise.Apprise()
    if not sender.add(address.url):
        return False
    kind = apprise.NotifyType.SUCCESS if good else kinds[severity]
    return bool(sender.notify(body=body, title=title, notify_type=kind))


def is_address(url: str) -> bool:
    """Whether Apprise knows what to do with it."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return bool(apprise.Apprise().add(url))


class Courier:
    """Takes messages from the outbox, one at a time for each receiver."""

    def __init__(
        self, outbox: Outbox, receivers: Sequence[Address], clock: Clock, keep: Keep, report: Report
    ) -> None:
        self.outbox = outbox
        self.receivers = tuple(receivers)
        self._clock, self._keep, self._report = clock, keep, report
        self._busy: set[str] = set()
        self._on_its_way: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Deliver until cancelled; what is on its way then stays in the outbox."""
        while True:
            await self._send_what_may_go()
            await asyncio.sleep(_TICK)

    async def _send_what_may_go(self) -> None:
        now = self._clock()
        current = self.outbox.current([address.name for address in self.receivers], now)
        if current != self.outbox:
            self.outbox = current
            await self._keep()
        for address in self.receivers:
            message = self.outbox.next_for(address.name, now)
            if message is None or address.name in self._busy or self._is_sending(address):
                continue
            task = asyncio.create_task(self._send(address, message))
            self._on_its_way[address.name] = task

    def _is_sending(self, address: Address) -> bool:
        task = self._on_its_way.get(address.name)
        return task is not None and not task.done()

    async def _send(self, address: Address, message: Message) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                taken = await self._in_thread(address, message)
        except TimeoutError:
            taken = False
        if taken:
            self.outbox = self.outbox.without(message)
        else:
            self.outbox = self.outbox.failed(message, self._clock())
        await self._keep()
        self._report(message, taken)

    async def _in_thread(self, address: Address, message: Message) -> bool:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def settle(taken: bool) -> None:
            self._busy.discard(address.name)
            if not done.done():
                done.set_result(taken)

        def work() -> None:
            taken = False
            try:
                taken = deliver(
                    address,
                    message.title,
                    message.body,
                    severity=message.severity,
                    good=message.good,
                )
            finally:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(settle, taken)

        self._busy.add(address.name)
        threading.Thread(target=work, name=f"to {address.name}", daemon=True).start()
        return await done
