"""A real pseudo-terminal with a readable screen, for driving the program as a person does."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

import pexpect
import pyte


class Terminal:
    """A program in a terminal of `columns` by `lines`; it is ended with the block."""

    def __init__(
        self,
        command: Sequence[str],
        columns: int = 80,
        lines: int = 24,
        environment: Mapping[str, str] | None = None,
        bytes_per_second: int | None = None,
    ) -> None:
        """`bytes_per_second` reads no quicker, as over a slow link."""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._bytes_per_second = bytes_per_second
        self.received = 0
        """Bytes the program has written so far."""
        self._child = pexpect.spawn(
            command[0],
            list(command[1:]),
            dimensions=(lines, columns),
            env={**inherited(), "TERM": "xterm-256color", **(environment or {})},
            timeout=None,
        )
        answer = partial(_answer, self._child.child_fd)
        self._screen.write_process_input = answer  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.close(force=True)

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    @property
    def text(self) -> str:
        """What is on the screen now."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def press(self, keys: str) -> None:
        self._child.send(keys)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        self._child.setwinsize(lines, columns)

    def wait(self, *words: str, seconds: float = 15.0) -> str:
        """The screen once it holds all the words. Raises AssertionError with what it held."""
        return self.until(lambda text: all(word in text for word in words), repr(words), seconds)

    def until(self, holds: Callable[[str], bool], wanted: str, seconds: float = 15.0) -> str:
        deadline = time.monotonic() + seconds
        while not holds(self.text):
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"never showed {wanted}; the screen is\n{self.text}")
        return self.text

    def read_for(self, seconds: float) -> int:
        """Read on for so long; how many bytes the program wrote meanwhile."""
        deadline, before = time.monotonic() + seconds, self.received
        while time.monotonic() < deadline and self._read():
            pass
        return self.received - before

    def answer_seconds(self, keys: bytes, settle: float = 0.03) -> float:
        """Seconds from writing the keys to the first byte after them; then all of it is read.

        What was written before is read first, until nothing comes for `settle` seconds.
        """
        while self._writes_within(settle):
            self._read()
        began = time.perf_counter()
        os.write(self._child.child_fd, keys)
        assert self._writes_within(15), f"no answer to {keys!r}; the screen is\n{self.text}"
        took = time.perf_counter() - began
        while self._writes_within(settle):
            self._read()
        return took

    def _writes_within(self, seconds: float) -> bool:
        return bool(select.select([self._child.child_fd], [], [], seconds)[0])

    def exit_code(self, seconds: float = 15.0) -> int:
        """Read on until the program ends; its exit code. A signal gives its negative number."""
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, f"still running; the screen is\n{self.text}"
        self._child.wait()
        if self._child.exitstatus is None:
            return -int(self._child.signalstatus)
        return int(self._child.exitstatus)

    def _read(self) -> bool:
        """Take what is there within a moment; False at the end of the program."""
        try:
            most = 65536 if self._bytes_per_second is None else self._bytes_per_second // 10
            data = self._child.read_nonblocking(most, timeout=0.1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        if self._bytes_per_second is not None:
            time.sleep(len(data) / self._bytes_per_second)
        self.received += len(data)
        self._stream.feed(data)
        return True


def inherited() -> dict[str, str]:
    """Our environment in UTF-8, without what would outrank the size of the terminal, or colours."""
    foreign = ("COLUMNS", "LINES", "LC_ALL", "LC_CTYPE", "NO_COLOR", "COLORTERM")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return kept | {"LANG": "C.UTF-8"}


def _answer(descriptor: int, text: str) -> None:
    """As any terminal tells where its cursor is: some programs wait seconds for that."""
    os.write(descriptor, text.encode())
