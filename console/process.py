"""Run a program: its lines as they come, its output streamed, and its end together with ours.

No secret is in argv. Cancelling the task ends the whole process group; if this process dies, the
kernel ends the program (and the program its own workers).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from console.errors import CommandFailed, ConsoleError
from console.server_binaries import Account

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_GRACE_SECONDS = 5.0
_PIPE_BYTES = 1024 * 1024
_KEPT_BYTES = 32 * 1024 * 1024
_COMPLAINT = re.compile(r"^\S+: (?:error|fatal|FATAL|ERROR): +(.+)$")
_FURTHER = re.compile(r"^\S+: (?:detail|hint): +(.+)$")

Consume = Callable[[BinaryIO], None]
"""Reads the program's output to its end, in a thread."""

Feed = Callable[[BinaryIO], None]
"""Writes the program's input, in a thread."""


@dataclass(frozen=True, slots=True)
class Command:
    argv: tuple[str, ...]
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """All of the program's environment; None for ours."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts that are never let out of the program's messages."""
    descriptors: tuple[int, ...] = ()
    """Open files that the program inherits."""
    account: Account | None = None
    """The account it runs as, where we are root; None for ours."""

    @property
    def program(self) -> str:
        return os.path.basename(self.argv[0])


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended; negative `returncode` is the signal that ended it."""

    program: str
    returncode: int
    lines: tuple[str, ...]
    """What it wrote to standard error, without secrets."""
    seconds: float

    def failure(self, what: str, hint: str = "") -> CommandFailed:
        """The error to raise when this end means that `what` did not work."""
        return CommandFailed(f"{what}: {self.complaint}.", hint or _hint(self.complaint))

    @property
    def complaint(self) -> str:
        """What the program said went wrong, on one line."""
        for number, line in enumerate(self.lines):
            match = _COMPLAINT.match(line)
            if match is None:
                continue
            further = (_FURTHER.match(later) for later in self.lines[number + 1 : number + 3])
            parts = [match[1], *(found[1] for found in further if found)]
            return "; ".join(part.rstrip(".") for part in parts)
        if self.returncode < 0:
            return f"{self.program} was ended by {_signal_name(-self.returncode)}"
        if self.lines:
            return self.lines[-1].strip().rstrip(".")
        return f"{self.program} ended with exit code {self.returncode} and no message"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_HINTS = (
    ("No space left on device", "Free some disk space, or choose a directory on another disk."),
    ("server version mismatch", "Install the tools of the server's own major version."),
    ("permission denied", "Grant the role what is missing, or use the owner or a superuser."),
    ("row-level security", "Back up as the tables' owner, or as a role with BYPASSRLS."),
    (
        "canceling statement due to",
        "Another session holds a lock; see who with pg_blocking_pids().",
    ),
    ("Read-only file system", "Choose a directory on a disk that can be written."),
)


def _hint(complaint: str) -> str:
    for words, hint in _HINTS:
        if words in complaint:
            return hint
    return "Run `medianest-console doctor` to see whether the tools and the server fit."


async def run(
    command: Command,
    *,
    on_line: Callable[[str], None] | None = None,
    consume: Consume | None = None,
    feed: Feed | None = None,
) -> Finished:
    """Run to the end; any exit code is returned, not raised.

    `on_line` gets each line of standard error. Raises CommandFailed when the program cannot be
    started, and whatever `consume` or `feed` raises (the program is ended then).
    """
    began = time.monotonic()
    output, input_ = (_Pipe() if consume else None), (_Pipe() if feed else None)
    try:
        process = await _start(command, output, input_)
    except BaseException:
        for pipe in (output, input_):
            if pipe is not None:
                pipe.close()
        raise
    lines = _Lines(command.secrets, on_line)
    try:
        async with asyncio.TaskGroup() as tasks:
            if output is not None and consume is not None:
                tasks.create_task(_in_thread(consume, output.reader()))
            if input_ is not None and feed is not None:
                tasks.create_task(_in_thread(_tolerant(feed), input_.writer()))
            tasks.create_task(lines.read(process))
            tasks.create_task(process.wait())
            tasks.create_task(_end_when_cancelled(process))
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    return Finished(
        command.program, process.returncode or 0, tuple(lines.kept), time.monotonic() - began
    )


async def _end_when_cancelled(process: asyncio.subprocess.Process) -> None:
    """Stay until the program has ended; when cancelled, see to it that it does.

    Threads that read its output come to their end only then, so this runs beside them.
    """
    try:
        await process.wait()
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    # The second signal is for what is left of the group, whether or not its leader has gone.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), _GRACE_SECONDS)


async def _start(
    command: Command, output: _Pipe | None, input_: _Pipe | None
) -> asyncio.subprocess.Process:
    with warnings.catch_warnings():
        # 3.12+ warns that a fork beside threads may deadlock; the child only calls prctl.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            process = await _whole(
                asyncio.create_subprocess_exec(
                    *command.argv,
                    stdin=input_.read_end if input_ else asyncio.subprocess.DEVNULL,
                    stdout=output.write_end if output else asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    env=dict(command.environment) if command.environment is not None else None,
                    pass_fds=command.descriptors,
                    start_new_session=True,
                    preexec_fn=_dies_with(os.getpid()),
                    **(command.account.process_options() if command.account else {}),
                )
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CommandFailed(
                f"{command.argv[0]} cannot be run: {reason}.",
                "Check that it is installed and may be executed.",
            ) from error
    if output is not None:
        output.close_write()
    if input_ is not None:
        input_.close_read()
    return process


async def _whole(
    creating: Coroutine[Any, Any, asyncio.subprocess.Process],
) -> asyncio.subprocess.Process:
    """Begin a program; cancelled meanwhile, end all of it: asyncio would end its leader alone."""
    task = asyncio.ensure_future(creating)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if task.exception() is None:
            await _end(task.result())
        raise


def _dies_with(parent: int) -> Callable[[], None]:
    """In the child: the kernel sends SIGTERM when we end, and the tools end their own workers."""

    def prepare() -> None:
        if sys.platform == "linux":
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


class _Pipe:
    """A wide pipe between the program and a thread of ours."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self.write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def reader(self) -> BinaryIO:
        return os.fdopen(self.read_end, "rb", buffering=0)

    def writer(self) -> BinaryIO:
        return os.fdopen(self.write_end, "wb")

    def close_read(self) -> None:
        os.close(self.read_end)

    def close_write(self) -> None:
        os.close(self.write_end)

    def close(self) -> None:
        self.close_read()
        self.close_write()


async def _in_thread(work: Callable[[BinaryIO], None], stream: BinaryIO) -> None:
    """Run `work` in a thread to its very end, also when cancelled: the stream ends with us."""

    def whole() -> None:
        with contextlib.suppress(BrokenPipeError), stream:
            work(stream)

    task = asyncio.ensure_future(asyncio.to_thread(whole))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _tolerant(feed: Feed) -> Feed:
    """A program may end before it read all: what it said then counts, not our broken pipe."""

    def work(stream: BinaryIO) -> None:
        with contextlib.suppress(BrokenPipeError):
            feed(stream)
            stream.flush()

    return work


class _Lines:
    """Standard error cut into lines, scrubbed, and kept up to a bound."""

    def __init__(self, secrets: Sequence[str], on_line: Callable[[str], None] | None) -> None:
        self.kept: list[str] = []
        self._secrets = [secret for secret in secrets if secret]
        self._on_line = on_line
        self._bytes = 0

    async def read(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stderr
        if stream is None:
            return
        rest = b""
        while chunk := await stream.read(65536):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                self._add(line)
        if rest:
            self._add(rest)

    def _add(self, raw: bytes) -> None:
        line = scrub(raw.decode("utf-8", "replace").rstrip("\r"), self._secrets)
        self._bytes += len(line)
        if self._bytes <= _KEPT_BYTES:
            self.kept.append(line)
        if self._on_line is not None:
            self._on_line(line)


def scrub(text: str, secrets: Sequence[str]) -> str:
    """The text with every secret replaced by ***."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of several tasks that ended together, the error to tell: a ConsoleError first."""
    found = [
        first_error(error) if isinstance(error, BaseExceptionGroup) else error
        for error in group.exceptions
    ]
    return next((error for error in found if isinstance(error, ConsoleError)), found[0])


async def output_of(command: Command, feed: Feed | None = None) -> tuple[Finished, str]:
    """Run a program with little output; how it ended, and what it wrote to standard output."""
    chunks: list[bytes] = []

    def collect(stream: BinaryIO) -> None:
        while chunk := stream.read(65536):
            chunks.append(chunk)

    finished = await run(command, consume=collect, feed=feed)
    return finished, b"".join(chunks).decode("utf-8", "replace")
