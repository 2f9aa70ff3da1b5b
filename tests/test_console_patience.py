"""Blocking work that hangs holds up nobody, and is not begun again while it hangs."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from console import fleet
from console.backup.history import Newest
from console.patience import in_time
from console.settings import Settings, TargetSettings


async def test_what_it_returns_and_raises_comes_through() -> None:
    assert await in_time(5, "answers", lambda: 42) == 42
    with pytest.raises(FileNotFoundError):
        await in_time(5, "raises", Path("/nowhere").stat)


async def test_while_one_hangs_no_other_is_begun() -> None:
    released, begun = threading.Event(), []

    def hang() -> None:
        begun.append(threading.current_thread())
        released.wait(30)

    for _turn in range(3):
        with pytest.raises(TimeoutError):
            await in_time(0.05, "hangs", hang)
    assert len(begun) == 1
    released.set()
    await asyncio.to_thread(begun[0].join)
    await in_time(5, "hangs", hang)


async def test_a_directory_of_backups_that_hangs_is_told_in_each_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one on a share does whose server is gone; such a share cannot be had in a test."""
    released = threading.Event()

    def hang(_settings: Settings, _target: str) -> Newest:
        released.wait(30)
        return Newest(None, None)

    monkeypatch.setattr(fleet, "newest_proven", hang)
    settings = Settings(targets={"dead": TargetSettings(url="postgresql://127.0.0.1:1/none")})
    (member,) = await fleet.look(settings, patience=0.3)
    released.set()
    assert member.problem.startswith("No connection")
    assert member.verified is None
