"""Pictures of Timings, Activity, Plans, Backups and guided trouble; looked at before accepted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import NOW, backend
from test_console_monitor_timings import COUNTERS
from test_console_plans_tree import node, sub
from test_screens_snapshots import SIZES, console, on_tab, settled
from textual.pilot import Pilot

from console.backup.history import remarks
from console.backup.manifest import (
    SCHEMA_VERSION,
    BackupFile,
    Check,
    FileKind,
    Manifest,
    Proof,
    Record,
    Tier,
    Verdict,
)
from console.backup.store import Backup
from console.monitor.activity import Sample
from console.monitor.guard import Panel
from console.monitor.locks import blocking_tree
from console.monitor.timings import Snapshot, TimingsHistory, timings
from console.monitor.timings_reader import TimingsReader, TimingsReading
from console.plans.tree import build
from console.statements import Readiness, State
from queries.locks import Lock
from queries.timings import Counters, Ledger
from screens.activity import ActivityTab, Looked
from screens.app import ConsoleApp
from screens.backups import Backups, BackupsTab
from screens.diagnose import DiagnoseDialog
from screens.overview import OverviewTab
from screens.plans import PlansTab
from screens.timings import TimingsTab

Compare = Callable[..., bool]

TEXTS = {
    1: "SELECT m.* FROM media m WHERE m.user_id = $1 ORDER BY m.created_at DESC LIMIT $2",
    2: "SELECT count(*) FROM audit_logs WHERE created_at > now() - $1::interval",
    3: "UPDATE sessions SET expires = $1 WHERE session_token = $2",
    4: "INSERT INTO audit_logs (user_id, action, details) VALUES ($1, $2, $3) RETURNING id",
    5: 'SELECT "[/red]" FROM users WHERE email = $1',
}
MEANS = {1: 4.2, 2: 312.0, 3: 0.31, 4: 1.7, 5: 0.05}


def counted(look: int) -> list[Counters]:
    """What the book says at a look: each statement is called at its own pace."""
    found = []
    for number, mean in MEANS.items():
        calls = 4000 // number + look * (30 // number) + (look * look * number) % 11
        found.append(
            dataclasses.replace(
                COUNTERS,
                id=number,
                calls=calls,
                rows=calls * (20 if number == 1 else 1),
                total_ms=calls * mean,
                max_ms=mean * 9,
                stddev_ms=mean / 2,
                hit_bytes=calls * 81_920,
                read_bytes=calls * 900 * number,
                temp_written_bytes=5 << 20 if number == 2 else 0,
                wal_bytes=calls * 300 if number in (3, 4) else 0,
            )
        )
    return found


def taken(looks: int = 90) -> TimingsHistory:
    history = TimingsHistory()
    ledger = Ledger(0, NOW - timedelta(days=3))
    for look in range(looks):
        history.add(Snapshot(NOW + timedelta(seconds=3 * look), counted(look), ledger))
    return history


def pictured(compare: Compare, app: ConsoleApp, size: tuple[int, int], before: Any) -> None:
    """A picture of a crashed app would be compared like any other."""
    assert compare(app, terminal_size=size, run_before=before)
    assert app._exception is None


@pytest.mark.parametrize("size", SIZES)
def test_the_timings(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Most time first, one marked as over 50 ms; charts where there is room; markup as it is."""
    history = taken()
    found = timings(history, TEXTS, {10: "medianest"}, own=False)
    ready = Readiness(State.USABLE, "", "")
    value = TimingsReading(
        NOW, ready, "1.10", found, (), NOW - timedelta(days=3), 0, 2, (), "", looks=90
    )
    built = TimingsTab.__init__

    def with_history(tab: TimingsTab) -> None:
        built(tab)
        tab._reader = TimingsReader(app.session)
        tab._reader.history = history
        tab._limit = 50.0

    monkeypatch.setattr(TimingsTab, "__init__", with_history)
    console(monkeypatch, OverviewTab, builders.sample())
    app = console(monkeypatch, TimingsTab, value)
    pictured(snap_compare, app, size, on_tab("timings", "down"))


def lock(pid: int, *, granted: bool, seconds: float | None = None) -> Lock:
    return Lock(
        pid, None, granted, "relation", "AccessExclusiveLock", "relation users", seconds,
        "users", "medianest", None, None, None, None, None, None,
    )  # fmt: skip


def sessions() -> Sample:
    """One idle in its transaction, two that wait behind it, one at work, some idle."""
    idle = dict(state="idle", wait_class="Client", wait_event="ClientRead")
    waits = dict(state="active", wait_class="Lock", wait_event="relation")
    return Sample(
        NOW,
        (
            backend(
                **idle | {"state": "idle in transaction"}, pid=4101, transaction_seconds=312.0,
                state_seconds=300.0, application="prisma migrate", query="LOCK TABLE users",
            ),
            backend(
                **waits, pid=4102, query_seconds=250.0, transaction_seconds=250.0,
                query="ALTER TABLE users ADD COLUMN theme text", blocked_by=(4101,),
            ),
            backend(
                **waits, pid=4103, query_seconds=12.4, transaction_seconds=12.4,
                query="SELECT id, email FROM users WHERE id = $1", blocked_by=(4102,),
            ),
            backend(
                pid=4104, state="active", wait_class="IO", wait_event="DataFileRead",
                query_seconds=3.2, transaction_seconds=3.2, query="SELECT count(*) FROM [/media]",
            ),
            *(backend(**idle, pid=pid, state_seconds=9.0) for pid in range(4200, 4206)),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_the_sessions(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Who waits comes first, in words and not in colour alone; idle ones are counted."""
    sample = sessions()
    console(monkeypatch, OverviewTab, builders.sample())
    app = console(
        monkeypatch, ActivityTab, Looked("sessions", Panel(sample, NOW), Panel(None, NOW))
    )
    pictured(snap_compare, app, size, on_tab("activity", "down"))


@pytest.mark.parametrize("size", SIZES)
def test_the_blocking_tree(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """The root with its statement, how long each waits, and what would unblock them."""
    sample = sessions()
    queue = [
        lock(4101, granted=True),
        lock(4102, granted=False, seconds=250.0),
        lock(4103, granted=False, seconds=12.4),
    ]
    tree = blocking_tree(sample.backends, queue)
    console(monkeypatch, OverviewTab, builders.sample())
    app = console(monkeypatch, ActivityTab, Looked("locks", Panel(sample, NOW), Panel(tree, NOW)))
    pictured(snap_compare, app, size, on_tab("activity", "l"))


def measured() -> dict[str, Any]:
    """A join with a scan that most rows leave again, an InitPlan, and a sort that spilled."""
    average = node(
        "Aggregate",
        31.0,
        node("Seq Scan", 28.0, Relation_Name="media", rows=90_000, Plan_Rows=90_000),
    )
    scan = node(
        "Seq Scan", 212.4, rows=412, Relation_Name="media", Alias="m", Plan_Rows=37_000,
        Filter="((status = 'failed'::text) AND (bytes > (InitPlan 1).col1))",
        Rows_Removed_by_Filter=89_588,
    )  # fmt: skip
    users = node("Index Scan", 0.004, loops=412, Relation_Name="users", Alias="u",
                 Index_Name="users_pkey", Index_Cond="(id = m.user_id)")  # fmt: skip
    never = node("Seq Scan", 0.0, loops=0, rows=0, Relation_Name="audit_logs")
    joined = node("Nested Loop", 214.6, sub("InitPlan 1", average), scan, users, never,
                  rows=412, Plan_Rows=37_000)  # fmt: skip
    sort = node(
        "Sort", 216.0, joined,
        rows=412, Plan_Rows=37_000, Sort_Key=["m.created_at DESC"], Sort_Method="external merge",
        Sort_Space_Used=9184, Sort_Space_Type="Disk",
    )  # fmt: skip
    return {"Plan": node("Limit", 216.1, sort, rows=50, Plan_Rows=50), "Planning Time": 0.4,
            "Execution Time": 216.9}  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_a_plan(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """The tree with its heat, the InitPlan charged once, the hottest node selected, advice."""
    app = console(monkeypatch, OverviewTab, builders.sample())

    async def show(pilot: Pilot[Any]) -> None:
        await on_tab("plans")(pilot)
        tab = app.active_tab
        assert isinstance(tab, PlansTab)
        tab.editor.load_text(
            "SELECT m.id, u.email -- the newest 50 that failed\n"
            "FROM media m JOIN users u ON u.id = m.user_id\n"
            "WHERE m.status = 'failed' AND m.bytes > (SELECT avg(bytes) FROM media)\n"
            "ORDER BY m.created_at DESC LIMIT 50"
        )
        tab._show(build(measured()), "run 03:00:00 UTC")
        await settled(pilot)

    pictured(snap_compare, app, size, show)


def backup(days: int, tier: Tier, verdict: Verdict | None, **record: Any) -> Backup:
    made = NOW - timedelta(days=days)
    manifest = Manifest(
        SCHEMA_VERSION, f"{made:%Y%m%dT%H%M%SZ}-{tier}", tier, "before 2.4" if days == 2 else "",
        "medianest", "medianest", "db:5432", "created", made, made, 41.0 + days, "15.18", 150018,
        "15.18", None, False, "zlib:9", 410_000_000,
        (BackupFile("data.dump", FileKind.CUSTOM, 120_000_000 - days * 900_000, "0" * 64),),
        210, 14,
    )  # fmt: skip
    proofs = () if verdict is None else (proof("verify", verdict, made),)
    if record.pop("drilled", False):
        proofs = (*proofs, dataclasses.replace(proof("drill", Verdict.PASS, made),
                                               restore_seconds=93.0))  # fmt: skip
    path = Path("/backups/medianest") / manifest.id
    return Backup(path, manifest, Record(proofs=proofs, **record))


def proof(kind: str, verdict: Verdict, at: datetime) -> Proof:
    return Proof(kind, verdict, at, 12.0, (Check("archive", verdict, "[/answer]"),))


@pytest.mark.parametrize("size", SIZES)
def test_the_backups(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """The newest first; what is proven, what failed, what was never looked at, what is held."""
    found = (
        backup(0, Tier.DAILY, None),
        backup(1, Tier.DAILY, Verdict.PASS, drilled=True),
        backup(2, Tier.PRE_DEPLOYMENT, Verdict.PASS, held=True),
        backup(3, Tier.DAILY, Verdict.FAIL),
        backup(9, Tier.WEEKLY, Verdict.PASS),
    )
    console(monkeypatch, OverviewTab, builders.sample())
    app = console(monkeypatch, BackupsTab, Backups(NOW, found, remarks(found, NOW), None))
    pictured(snap_compare, app, size, on_tab("backups", "down"))


@pytest.mark.parametrize("size", SIZES)
def test_a_trouble_that_was_walked(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Each question with what was found, then the actions by number, the first one selected."""

    async def evidence(_scene: Any, step: Any) -> dict[str, Any]:
        return {
            "blocking": {
                "waiting": 2, "root": "4101", "root_idle": True, "root_state": "session",
                "root_application": "prisma migrate", "root_text": "LOCK TABLE users",
            },
            "sessions": {"oldest_idle_seconds": 300.0, "oldest_idle_pid": 4101,
                         "oldest_idle_text": "for 5 min"},
        }[step.ask]  # fmt: skip

    monkeypatch.setattr("screens.diagnose.gather", evidence)
    app = console(monkeypatch, OverviewTab, builders.sample())

    async def walk(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("f8", "down", "enter")
        dialog = dialog_of(app)
        while not dialog.is_walked:
            await pilot.pause(0.05)
        await pilot.pause(0.2)

    pictured(snap_compare, app, size, walk)


def dialog_of(app: ConsoleApp) -> DiagnoseDialog:
    assert isinstance(app.screen, DiagnoseDialog)
    return app.screen
