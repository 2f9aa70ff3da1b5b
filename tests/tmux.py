"""A real terminal multiplexer with our program in it: what a person at an SSH session has."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from terminal import inherited


class Tmux:
    """One shell in a window of its own server; all of it is ended with the block."""

    def __init__(
        self, directory: Path, columns: int, lines: int, environment: Mapping[str, str]
    ) -> None:
        self._socket = str(directory / "tmux")
        self._size = (str(columns), str(lines))
        # tmux sets TERM of what runs inside; the outer one only has to exist.
        self._environment = {**inherited(), "TERM": "xterm-256color", "PS1": "$ ", **environment}
        self._term = environment.get("TERM", "tmux-256color")

    def __enter__(self) -> Self:
        columns, lines = self._size
        settings = f"set -g default-terminal {self._term}\nset -sg escape-time 0\n"
        Path(f"{self._socket}.conf").write_text(settings, encoding="utf-8")
        self._tmux(
            "-f", f"{self._socket}.conf", "new-session", "-d", "-x", columns, "-y", lines,
            "sh -i",
        )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True)

    def run(self, command: Sequence[str]) -> None:
        """Type a command at the shell."""
        self.type(" ".join(f"'{word}'" for word in command))
        self.press("Enter")

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: Enter, Escape, F9, C-z, or one character."""
        self._tmux("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def hang_up(self) -> None:
        """The connection is lost: the terminal goes away under the program."""
        self._tmux("kill-server")

    @property
    def shell(self) -> int:
        """The process of the shell."""
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    @property
    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    @property
    def painted(self) -> str:
        """The screen with its colours, as escape sequences."""
        return self._tmux("capture-pane", "-p", "-e")

    def wait(self, *words: str, seconds: float = 30.0) -> str:
        """The screen once it holds all the words. Raises AssertionError with what it held."""
        return self.until(lambda text: all(word in text for word in words), repr(words), seconds)

    def until(self, holds: Callable[[str], bool], wanted: str, seconds: float = 30.0) -> str:
        deadline = time.monotonic() + seconds
        while not holds(text := self.text):
            assert time.monotonic() < deadline, f"never showed {wanted}; the screen is\n{text}"
            time.sleep(0.05)
        return text

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *words],
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=20,
        )
        assert done.returncode == 0 or words[0] == "kill-server", done.stderr
        return done.stdout
