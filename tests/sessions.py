"""Sessions that hold and wait for locks, made with real connections in threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

Answer = TypeVar("Answer")


class Actor:
    """One session. `does` waits for the end of its statement, `starts` does not."""

    def __init__(self, database: Mapping[str, Any], name: str) -> None:
        self.connection = psycopg.connect(**database, application_name=name, autocommit=True)
        self.pid = self.connection.info.backend_pid
        self._threads: list[threading.Thread] = []
        self.errors: list[Exception] = []

    def does(self, *statements: str) -> Actor:
        for statement in statements:
            self.connection.execute(statement.encode())
        return self

    def starts(self, statement: str) -> Actor:
        def run() -> None:
            try:
                self.connection.execute(statement.encode())
            except psycopg.Error as error:
                self.errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def joined(self, seconds: float = 5.0) -> bool:
        """Whether what was started has ended."""
        for thread in self._threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)

    def end(self) -> None:
        self.connection.cancel_safe(timeout=2)
        self.joined()
        self.connection.close()


@contextmanager
def stage(database: Mapping[str, Any]) -> Iterator[Callable[[str], Actor]]:
    """Makes actors by name, and ends them all, the last first."""
    actors: list[Actor] = []

    def enter(name: str) -> Actor:
        actors.append(Actor(database, name))
        return actors[-1]

    try:
        yield enter
    finally:
        for actor in actors:
            if not actor.connection.closed:
                actor.connection.cancel_safe(timeout=2)
        for actor in reversed(actors):
            actor.end()


async def until(
    question: Callable[[], Awaitable[Answer]], holds: Callable[[Answer], bool], seconds: float = 8.0
) -> Answer:
    """Ask until the answer is as it should be; the last answer is in the failure."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await question()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"never came to hold: {answer}"
        await asyncio.sleep(0.05)
