"""Pictures of the emergency restore's pages; looked at before they are accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import builders
import pytest
from textual.pilot import Pilot
from textual.widgets._footer import FooterKey

from console.backup.archive import Opened
from console.backup.manifest import FileKind, Record
from console.backup.store import Backup
from console.findings import Finding, Severity
from console.restore.choices import Choice, Choices
from console.restore.estimate import Estimate
from console.restore.looking import Preflight
from console.restore.options import Options
from console.restore.outlook import Meter, NextAction, Outlook, StepLine, StepState
from console.restore.plan import Plan
from console.restore.reach import Reach
from console.restore.source import Source
from console.restore.status import State, Status
from console.settings import Settings
from console.target import Target
from screens import restore_choose, restore_status, restore_wizard
from screens.app import ConsoleApp
from screens.overview import OverviewTab

SIZES = [(80, 24), (140, 40)]
Compare = Callable[..., bool]

ROOT = Path("/var/backups/console/medianest")
OPTIONS = Options(
    id="20260115t030000-medianest",
    target="medianest",
    place="db:5432",
    system_identifier="7",
    database="medianest",
    scratch="medianest_restore_20260115t030000",
    replaces=16384,
    before="medianest_before_20260115t030000",
    archive=str(ROOT / "20260115T020000Z-daily" / "archive.dump"),
)


def choice(identity: str, age: str, severity: Severity, proof: str, seconds: float) -> Choice:
    backup = Backup(ROOT / identity, None, Record())
    return Choice(backup, "medianest", True, severity, proof, age, Estimate(seconds, ""), False)


def choices() -> Choices:
    found = (
        choice("20260115T023000Z-manual", "30 min ago", Severity.UNKNOWN, "not verified", 40),
        choice(
            "20260115T020000Z-daily", "60 min ago", Severity.OK, "verified, drilled in 38 s", 38
        ),
        choice("20260114T010000Z-daily", "26 h ago", Severity.OK, "verified, not drilled", 37),
        choice(
            "20260113T010000Z-daily",
            "2 days ago",
            Severity.FAILURE,
            "verification failed: [/foo] archive.dump is not as written",
            36,
        ),
    )
    marked = tuple(replace(c, recommended="T020000" in c.backup.id) for c in found)
    return Choices(
        ROOT,
        marked,
        Severity.OK,
        "Recommended: the backup made 60 min ago.",
        "It is the newest verified backup (newer ones are not verified); a drill restored it in"
        " 38 s.",
    )


FINDINGS = (
    Finding(
        "restore.extensions",
        Severity.FAILURE,
        "pgcrypto",
        "The extension pgcrypto is not installed on the server.",
        None,
        "Install the package that brings pgcrypto on the server's machine.",
    ),
    Finding(
        "restore.space",
        Severity.UNKNOWN,
        "db:5432",
        "The restore needs about 1.2 GB; the server's disk cannot be seen from here.",
        None,
        "Check with df on the server's machine.",
    ),
    Finding(
        "restore.roles",
        Severity.WARNING,
        "[/foo]",
        "The server has no role [/foo]. They are created without the right to log in.",
        None,
        "Or give everything to one role: --owner ROLE --no-privileges.",
    ),
    Finding("restore.rights", Severity.OK, "postgres", "Role 'postgres' is a superuser."),
    Finding("restore.archive", Severity.OK, "", "full read of the archive: 1.4 GB of SQL."),
)


def plan(*findings: Finding) -> Plan:
    source = Source(Path("archive.dump"), Opened(FileKind.CUSTOM, (1, 15), False), None, "chosen")
    return Plan(OPTIONS, source, Preflight(findings), 38.0, "as measured by the drill of today")


def outlook(kind: str) -> Outlook:
    state = State()
    running = {"running": 4711, "ready": None, "done": None, "interrupted": None}[kind]
    status = Status(ROOT, OPTIONS, state, running, {})
    took = {"safety": 41.0, "create": 0.08, "load": 31.0, "validate": 4.0, "swap": 0.3}
    words = {
        "safety": "back up the live database",
        "create": "create the new database",
        "load": "restore into it and analyze",
        "validate": "compare it with what was dumped",
        "swap": "end sessions, change both names, open",
    }
    reached = {"running": 2, "interrupted": 2, "ready": 4, "done": 5}[kind]
    at = {"running": StepState.AT_WORK, "interrupted": StepState.BROKEN}.get(
        kind, StepState.WAITING
    )
    steps = tuple(
        StepLine(name, words[name], StepState.DONE, took[name])
        if number < reached
        else StepLine(name, words[name], at if number == reached else StepState.WAITING, None)
        for number, name in enumerate(words)
    )
    if kind == "done":
        state.warnings.append("There is no safety backup: [/foo] cannot be read.")
    return replace(_said(kind, status), steps=steps)


def _said(kind: str, status: Status) -> Outlook:
    abort = NextAction("abort", f"Drop '{OPTIONS.scratch}'; 'medianest' stays as it is.")
    undo = NextAction("undo", "'medianest' is the old database again.", "medianest")
    finish = NextAction("finish", f"Drop '{OPTIONS.before}' for good.", OPTIONS.before)
    cut = NextAction("resume", "Give the restored database the name 'medianest'.", "medianest")
    resume = NextAction("resume", "Go on from the last step that was done.")
    meter = Meter("processing media_requests", 61, 180)
    said: dict[str, tuple[Any, ...]] = {
        "running": (
            Severity.INFO,
            "At work: restore into it and analyze.",
            "The live database stays in use; nothing of it has changed.",
            5,
            (),
            meter,
            72.0,
            (abort,),
        ),
        "ready": (
            Severity.OK,
            "Restored and compared: ready for the cut-over.",
            "'medianest' is as it was. The cut-over ends all its sessions and changes both names"
            " in one transaction.",
            7,
            (),
            None,
            81.0,
            (cut, abort),
        ),
        "done": (
            Severity.WARNING,
            "'medianest' is restored.",
            "It took 81 s in all, 76 s of it at work; downtime (the cut-over alone) 310 ms.",
            8,
            (),
            None,
            81.0,
            (undo, finish),
        ),
        "interrupted": (
            Severity.WARNING,
            "This restore was interrupted: its process is gone.",
            "'medianest' is as it was. It can be resumed where it stands, or taken back.",
            5,
            (),
            None,
            44.0,
            (resume, abort),
        ),
    }
    return Outlook(status, *said[kind])


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ConsoleApp:
    async def load(_tab: Any) -> Any:
        return builders.sample()

    async def answers(_target: Target) -> Reach:
        return Reach(Severity.OK, "PostgreSQL 15 at db:5432 answers; 'medianest' is there.")

    monkeypatch.setattr(OverviewTab, "load", load)
    monkeypatch.setattr(OverviewTab, "interval", None)
    monkeypatch.setattr(restore_choose, "offer", lambda *_args, **_given: choices())
    monkeypatch.setattr(restore_choose, "reach", answers)
    target = Target("medianest", {"host": "db", "port": "5432", "dbname": "medianest"})
    made = ConsoleApp(target, Settings(), rescue=True)
    made.session._server = builders.SERVER
    return made


def pressing(*keys: str) -> Callable[[Pilot[Any]], Any]:
    async def press(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)

    return press


async def settled(pilot: Pilot[Any]) -> None:
    wizard = pilot.app.screen
    while not getattr(wizard, "_front", True) or not wizard.query(FooterKey):
        await pilot.pause(0.05)
    await pilot.pause(0.2)


def planned(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    async def make(*_args: Any) -> Plan:
        return plan(*findings)

    monkeypatch.setattr(restore_wizard, "find_source", lambda *_args: None)
    monkeypatch.setattr(restore_wizard, "make_plan", make)


def standing(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    shown = outlook(kind)
    monkeypatch.setattr(restore_wizard, "unfinished", lambda: shown.status)
    monkeypatch.setattr(restore_status, "look", lambda *_args: shown)


@pytest.mark.parametrize("size", SIZES)
def test_the_choice_of_a_backup(snap_compare: Compare, app: ConsoleApp, size: Any) -> None:
    """Four backups with their proof in words, the starred one selected; the server answers."""
    assert snap_compare(app, terminal_size=size, run_before=pressing())


@pytest.mark.slow
def test_the_choice_without_a_server(
    snap_compare: Compare, app: ConsoleApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be done without it, and the key that asks again."""

    async def refuses(_target: Target) -> Reach:
        return Reach(Severity.FAILURE, "No connection to db:5432: refused.", "Check that it runs.")

    monkeypatch.setattr(restore_choose, "reach", refuses)
    assert snap_compare(app, terminal_size=SIZES[0], run_before=pressing())


@pytest.mark.parametrize("size", SIZES)
def test_a_preflight_that_fails(
    snap_compare: Compare, app: ConsoleApp, monkeypatch: pytest.MonkeyPatch, size: Any
) -> None:
    """The failure first with its remedy below; what could not be checked is no tick."""
    planned(monkeypatch, *FINDINGS)
    assert snap_compare(app, terminal_size=size, run_before=pressing("enter"))


@pytest.mark.parametrize("size", SIZES)
def test_the_plan_in_plain_words(
    snap_compare: Compare, app: ConsoleApp, monkeypatch: pytest.MonkeyPatch, size: Any
) -> None:
    """Seven numbered lines with the expected time, all visible at the smallest size."""
    planned(monkeypatch, *FINDINGS[3:])
    assert snap_compare(app, terminal_size=size, run_before=pressing("enter", "enter"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["running", "ready", "done", "interrupted"])
@pytest.mark.parametrize("size", SIZES)
def test_a_restore_that_has_begun(
    snap_compare: Compare,
    app: ConsoleApp,
    monkeypatch: pytest.MonkeyPatch,
    size: Any,
    kind: str,
) -> None:
    """Verdict, steps with times, a bar while it runs, and the keys for what may be done."""
    standing(monkeypatch, kind)
    assert snap_compare(app, terminal_size=size, run_before=pressing())


def test_the_typed_confirmation(
    snap_compare: Compare, app: ConsoleApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name has to be typed."""
    standing(monkeypatch, "ready")

    async def press(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("C")
        await pilot.pause(0.2)
        pilot.app.screen.query_one("Input").cursor_blink = False  # type: ignore[attr-defined]
        await pilot.pause(0.1)

    assert snap_compare(app, terminal_size=SIZES[0], run_before=press)
