"""Running a program: its lines, its streams, its end with ours, and no secret let out."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import BinaryIO

import pytest
from backups import children_named, until

from console.errors import CommandFailed
from console.process import Command, output_of, run


def shell(script: str, **options: tuple[str, ...]) -> Command:
    return Command(("sh", "-c", script), **options)  # type: ignore[arg-type]


def group_alive(leader: int) -> bool:
    """Whether a process of the group still runs; a dead one may wait for init to take note."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _parent, group, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(group) == leader and state != "Z":
                    return True
    return False


def running(command: str) -> bool:
    return command in subprocess.getoutput("ps -eo args").splitlines()


async def test_lines_come_while_the_program_runs_and_are_kept() -> None:
    seen: list[str] = []
    finished = await run(shell("echo one >&2; echo two >&2; exit 3"), on_line=seen.append)
    assert seen == ["one", "two"] == list(finished.lines)
    assert finished.returncode == 3


async def test_output_of_any_length_is_streamed_without_loss() -> None:
    total = 0

    def count(stream: BinaryIO) -> None:
        nonlocal total
        while piece := stream.read(65536):
            total += len(piece)

    await run(shell("head -c 30000000 /dev/zero"), consume=count)
    assert total == 30_000_000


async def test_input_is_fed_and_a_program_that_does_not_read_it_all_is_no_error() -> None:
    def much(stream: BinaryIO) -> None:
        for _ in range(100):
            stream.write(b"x" * 1_000_000)

    finished = await run(shell("head -c 10 >/dev/null; exit 4"), feed=much)
    assert finished.returncode == 4


@pytest.mark.slow
async def test_cancelling_ends_the_whole_group_and_returns_soon() -> None:
    began = time.monotonic()
    task = asyncio.create_task(run(shell("sleep 60 & sleep 60")))
    assert await until(lambda: children_named("sh"))
    (pid,) = children_named("sh")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 5
    assert await until(lambda: not group_alive(pid))


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_cancelling_while_it_is_being_started_leaves_nothing(turns: int) -> None:
    task = asyncio.create_task(run(shell("sleep 61 & sleep 61")))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not running("sleep 61")


async def test_a_program_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.process._GRACE_SECONDS", 0.2)
    task = asyncio.create_task(run(shell("trap '' TERM; while true; do sleep 0.1; done")))
    assert await until(lambda: children_named("sh"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not children_named("sh")


async def test_an_error_of_the_consumer_ends_the_program_and_is_raised() -> None:
    def refuse(stream: BinaryIO) -> None:
        stream.read(10)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await run(shell("yes"), consume=refuse)
    assert not children_named("yes")


async def test_secrets_are_taken_out_of_every_line() -> None:
    finished = await run(shell("echo 'bad password hunter2!' >&2", secrets=("hunter2",)))
    assert finished.lines == ("bad password ***!",)
    assert "hunter2" not in str(finished.failure("It failed"))


async def test_the_first_error_with_its_detail_is_the_complaint() -> None:
    script = (
        "echo 'pg_dump: dumping' >&2; echo 'pg_dump: error: aborting because of server version"
        " mismatch' >&2; echo 'pg_dump: detail: server version: 18.6; pg_dump version: 15.18' >&2;"
        " exit 1"
    )
    failure = (await run(shell(script))).failure("The backup was not made")
    assert failure.message == (
        "The backup was not made: aborting because of server version mismatch;"
        " server version: 18.6; pg_dump version: 15.18."
    )
    assert "own major version" in failure.hint


async def test_a_signal_is_named() -> None:
    finished = await run(shell("kill -9 $$"))
    assert finished.returncode == -9
    assert "SIGKILL" in finished.complaint


async def test_a_program_that_is_not_there_is_a_plain_error() -> None:
    with pytest.raises(CommandFailed, match="cannot be run"):
        await run(Command(("/nowhere/pg_dump",)))


async def test_output_of_a_short_program_is_text() -> None:
    finished, text = await output_of(shell("echo hello"))
    assert (finished.returncode, text) == (0, "hello\n")


def test_the_program_dies_when_we_are_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = textwrap.dedent(f"""
        import asyncio
        from console.process import Command, run
        asyncio.run(run(Command(("sh", "-c", "echo $$ > {pid_file}; exec sleep 60"))))
    """)
    ours = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent.parent)
    deadline = time.monotonic() + 10
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = int(pid_file.read_text())
    ours.send_signal(signal.SIGKILL)
    ours.wait()
    while (
        Path(f"/proc/{child}").exists() and b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
