"""What is recommended and how long it should take; a restore's outlook in words; runs elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from restores import Restoring, die_at

from console.backup.elsewhere import elsewhere
from console.backup.manifest import Proof, Tier, Verdict
from console.backup.store import Store
from console.findings import Severity
from console.local_server import LocalServer
from console.restore.choices import offer
from console.restore.estimate import estimate
from console.restore.outlook import StepState, last_over, look, notice, unfinished
from console.restore.reach import reach
from console.target import Target


@pytest.fixture
async def media(medianest18: Target, tmp_path: Path) -> Restoring:
    media = Restoring(dict(medianest18.parameters), tmp_path / "backups")
    await media.backup()
    return media


def test_without_backups_the_choice_says_what_to_do(tmp_path: Path) -> None:
    offered = offer(Store(tmp_path), "home", datetime.now(UTC))
    assert offered.severity is Severity.FAILURE
    assert not offered.choices
    assert "path" in offered.reason
    offered = offer(Store(tmp_path), "home", datetime.now(UTC), stores=["vault"])
    assert "backup fetch latest --from vault" in offered.reason
    closed = tmp_path / "file"
    closed.write_text("")
    assert offer(Store(closed), "home", datetime.now(UTC)).recommended is None


async def test_a_drill_measures_and_scales_to_others(media: Restoring) -> None:
    store, now = Store(media.root), datetime.now(UTC)
    older = store.backups("home")[0]
    assert older.manifest is not None
    bare = estimate(older, older.manifest.database_bytes, [older])
    assert "guess" in bare.basis
    drill = Proof("drill", Verdict.PASS, now, 30.0, (), "server", 20.0)
    store.change_record(older, lambda record: record.with_proof(drill))
    newer = await media.backup()
    shown = offer(store, "home", now + timedelta(hours=1))
    first, second = shown.choices
    assert first.recommended
    assert first.backup.id == newer.id
    assert first.time.seconds == pytest.approx(20.0, rel=0.2)
    assert "scaled" in first.time.basis
    assert second.time.seconds == 20.0
    assert second.proof == "verified, drilled in 20 s"


async def test_another_targets_backups_are_shown_but_none_is_recommended(media: Restoring) -> None:
    shown = offer(Store(media.root), "elsewhere", datetime.now(UTC))
    assert shown.recommended is None
    assert shown.severity is Severity.WARNING
    assert [choice.proof for choice in shown.choices] == ["of 'home': verified, not drilled"]


@pytest.mark.slow
async def test_the_outlook_of_a_killed_and_of_a_waiting_restore(
    media: Restoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert notice() == ""
    live_again = die_at(monkeypatch, 8)
    killed = await media.restore(confirmed=False)
    live_again()
    seen = look(killed.directory, datetime.now(UTC))
    assert "process is gone" in seen.verdict
    assert {step.name: step.state for step in seen.steps}["load"] is StepState.BROKEN
    assert [action.action for action in seen.actions] == ["resume", "abort"]
    assert "not finished" in notice()
    await media.go_on(killed, "resume")
    seen = look(killed.directory, datetime.now(UTC))
    assert seen.severity is Severity.OK
    assert seen.actions[0].typed == media.name
    assert "waits for its cut-over" in notice()
    await media.go_on(killed, "resume", confirmed=True)
    over = last_over()
    assert over is not None
    assert over.id == killed.id
    assert unfinished() is None


async def test_the_server_is_asked_whether_or_not_the_database_is_there(
    server18: LocalServer,
) -> None:
    gone = await reach(Target("x", {**server18.conninfo("not_there")}))
    assert gone.answers
    assert "made anew" in gone.message
    down = await reach(Target("x", {"host": "127.0.0.1", "port": "1", "dbname": "x"}))
    assert not down.answers
    assert down.hint


def test_a_run_from_a_command_line_is_seen_with_what_it_has_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert elsewhere(store, "home", None) is None
    with store.lock("home"):
        waiting = elsewhere(store, "home", None)
        assert waiting is not None
        assert waiting.since is None
        identity = store.new_id("home", Tier.MANUAL)
        with store.partial("home", identity) as directory:
            (directory / "archive.dump").write_bytes(b"x" * 5000)
            found = elsewhere(store, "home", None)
            assert found is not None
            assert found.written_bytes == 5000
            assert found.since is not None
    assert elsewhere(store, "home", None) is None
