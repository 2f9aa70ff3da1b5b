"""Where watches put what is to be told, and the courier takes it from: kept in the history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from console.agent.clock import Clock
from console.agent.courier import Courier
from console.agent.history import AgentHistory
from console.agent.outbox import Address, Message, Outbox
from console.backup import jsonfile
from console.errors import ConsoleError

_OUTBOX = "outbox"


class Postbox:
    """The courier with an outbox that survives restarts."""

    def __init__(
        self, history: AgentHistory, receivers: Sequence[Address], clock: Clock, log: Any
    ) -> None:
        self._history, self._log = history, log
        self.saving = asyncio.Lock()
        """Held from a change until it is written, so that none is overwritten by an older one."""
        self._courier = Courier(_recalled(history), receivers, clock, self._keep, self._tell)

    @property
    def receivers(self) -> tuple[Address, ...]:
        return self._courier.receivers

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet."""
        return len(self._courier.outbox.messages)

    def send_to(self, receivers: Sequence[Address]) -> None:
        """Other receivers from now on; what waits for those who are gone is dropped."""
        self._courier.receivers = tuple(receivers)

    def put(self, messages: Sequence[Message]) -> dict[str, object]:
        """Take messages (hold `saving`); the outbox as the history is to keep it."""
        self._courier.outbox = self._courier.outbox.with_more(messages)
        return _document(self._courier.outbox)

    async def run(self) -> None:
        await self._courier.run()

    async def _keep(self) -> None:
        async with self.saving:
            document = _document(self._courier.outbox)
            try:
                await asyncio.to_thread(self._history.remember, {"": document})
            except ConsoleError as error:
                # Telling goes on from memory: a full disk is what it may have to tell of.
                self._log.error("not written down", message=error.message, hint=error.hint)

    def _tell(self, message: Message, delivered: bool) -> None:
        if delivered:
            self._log.info("told", receiver=message.receiver, title=message.title)
        elif message.tries == 0:
            self._log.warning(
                "not told yet",
                receiver=message.receiver,
                title=message.title,
                message="The service did not take the message; it is tried again.",
            )


def _document(outbox: Outbox) -> dict[str, object]:
    return {_OUTBOX: jsonfile.encode(outbox)}


def _recalled(history: AgentHistory) -> Outbox:
    try:
        return jsonfile.decode(history.recall("", _OUTBOX), Outbox)
    except ValueError:
        return Outbox()
