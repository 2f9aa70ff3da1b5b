"""A recording in the Activity tab: look by look, the worst one, and back to what goes on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOW, backend
from test_screens_activity import cells, headline, in_front, on_activity, remark, settled, shown
from textual.widgets import Input

from console.errors import ActionRefused
from console.monitor.activity import Sample
from console.monitor.recording import Gap, Heading, Recorder
from console.monitor.replay import open_replay
from console.monitor.waits import Group
from screens.activity import ActivityTab
from screens.widgets.dialogs import ConfirmDialog, DetailDialog

Database = dict[str, Any]
WORST = 7


def recorded(path: Path, looks: int = 12) -> Path:
    """A look a second; in one of them two wait behind the first; then one could not be had."""
    with Recorder(path, Heading("home", "15.18", "console", NOW)) as recorder:
        for n in range(looks):
            holder = backend(pid=100, state="idle in transaction", query="LOCK TABLE t")
            waits = {"state": "active", "wait_class": "Lock", "wait_event": "relation"}
            waiting = [
                backend(pid=101, query="SELECT n FROM t", blocked_by=(100,), **waits),
                backend(pid=102, query="DELETE FROM t", blocked_by=(101,), **waits),
            ]
            works = backend(pid=200 + n, state="active", wait_class=None, wait_event=None)
            here = (holder, *(waiting if n == WORST else ()), works)
            recorder.add(Sample(NOW + timedelta(seconds=n), here))
            if n == WORST:
                recorder.add_gap(Gap(NOW + timedelta(seconds=n + 0.5), "The server was away."))
    return path


def test_a_replay_stays_within_its_ends_and_knows_its_worst_look(tmp_path: Path) -> None:
    replay = open_replay(recorded(tmp_path / "looks.jsonl"))
    replay.move(-3)
    assert replay.position == 0
    replay.move(99)
    assert replay.position == 11
    assert replay.gap() is None
    replay.to_worst()
    assert replay.position == WORST
    replay.move(1)
    gap = replay.gap()
    assert gap is not None
    assert gap.reason == "The server was away."


def test_waits_are_those_up_to_the_look_in_front(tmp_path: Path) -> None:
    replay = open_replay(recorded(tmp_path / "looks.jsonl"))
    replay.move(WORST - 1)
    assert replay.waits().load(Group.LOCK) == 0
    replay.move(1)
    assert replay.waits().load(Group.LOCK) == pytest.approx(2 / (WORST + 1))


def test_a_recording_without_a_look_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ActionRefused, match="no look"):
        open_replay(recorded(tmp_path / "looks.jsonl", 0))


async def opened(pilot: Any, tab: ActivityTab, path: Path) -> None:
    await named(pilot, path)
    await settled(pilot, lambda: tab.replay is not None)


async def named(pilot: Any, path: Path) -> None:
    await pilot.press("f")
    pilot.app.screen.query_one(Input).value = str(path)
    await pilot.press("enter")


@pytest.mark.slow
async def test_a_recording_is_gone_through_and_left(empty_db: Database, tmp_path: Path) -> None:
    path = recorded(tmp_path / "looks.jsonl")
    async with on_activity(empty_db) as (app, pilot, tab):
        await opened(pilot, tab, path)
        assert "1 of 12" in headline(tab)
        assert shown(tab, "200")
        await pilot.press("full_stop")
        assert shown(tab, "201")
        await pilot.press("b")
        assert f"{WORST + 1} of 12" in headline(tab)
        await pilot.press("l")
        assert [row[0].strip(" └") for row in cells(tab)] == ["100", "101", "102"]
        assert "100" in remark(tab)
        await pilot.press("K")
        assert not isinstance(app.screen, ConfirmDialog)
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(app.screen, DetailDialog))
        await pilot.press("escape", "o")
        assert "A recording holds" in remark(tab)
        await pilot.press("full_stop")
        assert "The server was away." in headline(tab)
        await pilot.press("a", "escape")
        await settled(pilot, lambda: "REPLAY" not in headline(tab))
        await settled(pilot, in_front(tab, "sessions"))
        assert not shown(tab, "200")


async def test_what_is_no_recording_is_refused_in_a_sentence(
    empty_db: Database, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("{}")
    async with on_activity(empty_db) as (app, pilot, tab):
        await named(pilot, tmp_path / "x")
        await settled(pilot, lambda: bool(app._notifications))
        assert "is not a recording" in " ".join(n.message for n in app._notifications)
        assert tab.replay is None
