"""The evidence that playbooks ask for by name: each is a few facts about the server right now.

Facts are numbers, words, yes and no; those that end in _text are for people only.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from console import units
from console.backup.store import Store
from console.diagnose import Facts, Step
from console.errors import (
    ConnectionFailed,
    DatabaseMissing,
    PasswordRefused,
    PrivilegeMissing,
    SettingsError,
    TooManyClients,
)
from console.monitor.activity import (
    IDLE_IN_TRANSACTION,
    is_client,
    read_activity,
    running_seconds,
    summary,
)
from console.monitor.locks import blocking_tree, unblocking
from console.monitor.progress import bar
from console.monitor.statement_text import one_line
from console.monitor.timings_reader import TimingsReader
from console.monitor.waits import Group, WaitHistory, look
from console.session import APPLICATION_NAME, Connection, Session
from console.statements import without_literals
from console.target import Target
from queries.activity import Backend
from queries.diagnosis import DISK_USE, WAL_FILES
from queries.io import WRITING
from queries.locks import LOCK_QUEUE
from queries.objects import VACUUM_DUE
from queries.operations import OPERATIONS
from queries.overview import OVERVIEW

LOOKS = 12
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Scene:
    """Where evidence is looked for."""

    target: Target
    session: Session
    backups: Path


Evidence = Callable[[Scene], Awaitable[Facts]]


async def gather(scene: Scene, step: Step) -> Facts:
    """The facts a step asks for. Raises ConsoleError where they cannot be had."""
    if step.sql:
        return await _asked(scene.session, step.sql)
    if step.ask not in EVIDENCE:
        raise SettingsError(
            f"There is no evidence '{step.ask}'.", f"Known: {', '.join(sorted(EVIDENCE))}."
        )
    return await EVIDENCE[step.ask](scene)


async def _asked(session: Session, statement: str) -> Facts:
    """The first row of a playbook's own SELECT, by column."""

    async def ask(connection: Connection) -> Facts:
        # As a prepared statement it cannot be two; the session is read-only anyway.
        cursor = await connection.execute(statement.encode(), prepare=True)
        row = await cursor.fetchone()
        names = [column.name for column in cursor.description or ()]
        if row is None:
            return {}
        kept = (str, int, float, bool, type(None))
        return {
            name: value if isinstance(value, kept) else _number(value)
            for name, value in zip(names, row, strict=True)
        }

    return await session.ask(ask)


def _number(value: object) -> float | str:
    try:
        return float(str(value))
    except ValueError:
        return str(value)


async def connection(scene: Scene) -> Facts:
    """Whether the server lets us in; a refusal is an answer, not an error."""
    try:
        await scene.session.connection()
    except ConnectionFailed as error:
        return {
            "connected": False,
            "reason": _reason(error),
            "message_text": error.message,
            "hint_text": error.hint,
            "place_text": scene.target.place,
        }
    server = scene.session.server
    assert server is not None
    up = (datetime.now(UTC) - server.started_at).total_seconds()
    return {
        "connected": True,
        "reason": "none",
        "version_text": server.version,
        "standby": server.in_recovery,
        "up_seconds": up,
        "up_text": units.duration(up),
        "place_text": scene.target.place,
    }


def _reason(error: ConnectionFailed) -> str:
    for kind, word in (
        (PasswordRefused, "password"),
        (DatabaseMissing, "database"),
        (TooManyClients, "full"),
    ):
        if isinstance(error, kind):
            return word
    return "starting" if "not ready" in error.message else "unreachable"


async def sessions(scene: Scene) -> Facts:
    sample = await read_activity(scene.session)
    found = summary(sample.backends)
    clients = [backend for backend in sample.backends if is_client(backend)]
    idle = [b for b in clients if b.state in IDLE_IN_TRANSACTION]
    working = [b for b in clients if b.state == "active"]
    oldest = max(idle, key=lambda b: b.state_seconds or 0.0, default=None)
    longest = max(working, key=lambda b: b.query_seconds or 0.0, default=None)
    applications = Counter(b.application or "(no name)" for b in clients if b.state == "idle")
    most = applications.most_common(1)
    return {
        "sessions": found.sessions,
        "active": found.active,
        "waiting": found.waiting,
        "idle_in_transaction": found.idle_in_transaction,
        "idle": found.idle,
        "hidden": found.hidden,
        "oldest_idle_seconds": oldest.state_seconds if oldest else 0.0,
        "oldest_idle_pid": oldest.pid if oldest else None,
        "oldest_idle_text": units.duration(oldest.state_seconds) if oldest else "-",
        "longest_seconds": longest.query_seconds if longest else 0.0,
        "longest_pid": longest.pid if longest else None,
        "longest_text": _said(longest),
        "idle_application": most[0][0] if most else None,
        "idle_application_sessions": most[0][1] if most else 0,
    }


def _said(backend: Backend | None) -> str:
    if backend is None:
        return "nothing runs"
    text = one_line(without_literals(backend.query or ""))
    return f"{units.duration(running_seconds(backend))}: {text[:100]}"


async def blocking(scene: Scene) -> Facts:
    sample = await read_activity(scene.session)
    if not any(backend.blocked_by for backend in sample.backends):
        return {"waiting": 0, "trees": 0}
    tree = blocking_tree(sample.backends, await scene.session.fetch(LOCK_QUEUE))
    roots = [node for node in tree if node.is_root]
    root = roots[0]
    backend = root.backend
    return {
        "waiting": sum(not node.is_root for node in tree),
        "trees": len(roots),
        "root": root.who,
        "behind": root.behind,
        "root_state": backend.state if backend else "prepared",
        "root_idle": bool(backend and backend.state in IDLE_IN_TRANSACTION),
        "root_application": backend.application if backend else None,
        "root_text": one_line(without_literals(backend.query or ""))[:100] if backend else "",
        "unblocking_text": unblocking(root),
    }


async def load(scene: Scene) -> Facts:
    """What sessions at work wait for, in several looks."""
    history = WaitHistory()
    for _ in range(LOOKS):
        sample = await read_activity(scene.session)
        history.add(look(sample.backends, sample.at))
        await asyncio.sleep(LOOK_SECONDS)
    shares = {group: history.load(group) for group in Group}
    total = sum(shares.values())
    events = [event for event in history.events() if event.wait_class != "CPU"]
    return {
        "at_work": round(total, 2),
        "cpu_share": shares[Group.CPU] / total if total else 0.0,
        "io_share": shares[Group.IO] / total if total else 0.0,
        "lock_share": shares[Group.LOCK] / total if total else 0.0,
        "event_text": f"{events[0].wait_class}:{events[0].event}" if events else "none",
    }


async def timings(scene: Scene) -> Facts:
    """The statement that took most time: counted, else sampled for a while."""
    reader = TimingsReader(scene.session)
    reading = await reader.read(1.0)
    for _ in range(LOOKS if reading.is_sampled else 1):
        await asyncio.sleep(LOOK_SECONDS if reading.is_sampled else 2.0)
        reading = await reader.read(1.0)
    facts: dict[str, str | int | float | bool | None] = {
        "counted": not reading.is_sampled,
        "problem_text": reading.ready.message,
        "fix_text": reading.ready.fix,
        "statements": len(reading.timings) or len(reading.sampled),
    }
    if reading.timings:
        recent = [t for t in reading.timings if t.change and t.change.calls]
        top = max(recent, key=lambda t: t.change.busy if t.change else 0.0, default=None)
        top = top or reading.timings[0]
        facts |= {
            "top_share": top.share,
            "top_mean_ms": top.mean_ms,
            "top_busy": top.change.busy if top.change else None,
            "top_text": one_line(top.text or "")[:100],
            "slow": sum(t.mean_ms > 50 for t in reading.timings),
        }
    elif reading.sampled:
        facts |= {"top_share": reading.sampled[0].share, "top_text": reading.sampled[0].text[:100]}
    return facts


async def overview(scene: Scene) -> Facts:
    found = await scene.session.fetch_one(OVERVIEW, {"own_name": APPLICATION_NAME})
    usable = found.max_connections - found.reserved_connections
    asked = found.blocks_hit + found.blocks_read
    return {
        "connections": found.connections,
        "usable_connections": usable,
        "connections_share": found.connections / usable if usable else 1.0,
        "idle_in_transaction": found.idle_in_transaction,
        "oldest_transaction_seconds": found.longest_seconds or 0.0,
        "oldest_transaction_pid": found.longest_pid,
        "oldest_transaction_text": units.duration(found.longest_seconds),
        "cache_hit": found.blocks_hit / asked if asked else None,
        "prepared": found.prepared_transactions,
        "inactive_slots": found.inactive_slots,
        "slot_bytes": found.slot_bytes_retained or 0,
        "slot_text": units.size(found.slot_bytes_retained),
        "archiving": found.archive_mode != "off",
        "archiving_fails": bool(
            found.last_archive_failure_at
            and (
                found.last_archived_at is None
                or found.last_archive_failure_at > found.last_archived_at
            )
        ),
        "archived_text": units.age(found.last_archived_at, found.at),
        "standby": found.in_recovery,
    }


async def operations(scene: Scene) -> Facts:
    bars = [bar(operation) for operation in await scene.session.fetch(OPERATIONS)]
    return {
        "operations": len(bars),
        "operation_text": "; ".join(f"{b.title} ({b.phase})" for b in bars[:3]) or "none",
    }


async def maintenance(scene: Scene) -> Facts:
    due = await scene.session.fetch(VACUUM_DUE)
    return {
        "tables_due": len(due),
        "dead_rows": sum(table.dead_rows for table in due),
    }


async def checkpoints(scene: Scene) -> Facts:
    found = await scene.session.fetch_one(WRITING)
    total = found.checkpoints_timed + found.checkpoints_requested
    return {
        "checkpoints": total,
        "forced_share": found.checkpoints_requested / total if total else 0.0,
        "max_wal_size_text": found.max_wal_size,
    }


async def disk(scene: Scene) -> Facts:
    """What takes the room; the free room only where the server's directory is on this machine."""
    use = await scene.session.fetch_one(DISK_USE)
    facts: dict[str, str | int | float | bool | None] = {
        "database_bytes": use.database_bytes,
        "database_text": units.size(use.database_bytes),
        "largest": use.largest_relation,
        "largest_share": use.largest_bytes / use.database_bytes,
        "largest_text": f"{use.largest_relation} ({units.size(use.largest_bytes)})",
        "temp_bytes": use.temp_bytes,
        "temp_text": units.size(use.temp_bytes),
    }
    return facts | _free(scene.target, use.data_directory)


def _free(target: Target, directory: str | None) -> dict[str, str | float | None]:
    unknown: dict[str, str | float | None] = {"free_share": None, "free_text": "not known"}
    is_local = target.place.startswith("socket") or target.place.startswith("local")
    if not is_local or directory is None or not os.path.isdir(directory):
        return unknown
    try:
        found = shutil.disk_usage(directory)
    except OSError:
        return unknown
    return {"free_share": found.free / found.total, "free_text": units.size(found.free)}


async def wal(scene: Scene) -> Facts:
    try:
        found = await scene.session.fetch_one(WAL_FILES)
    except PrivilegeMissing as error:
        raise PrivilegeMissing(
            "This role may not list the WAL files.", "GRANT pg_monitor TO the role."
        ) from error
    return {"wal_bytes": found.bytes, "wal_files": found.files, "wal_text": units.size(found.bytes)}


async def backups(scene: Scene) -> Facts:
    """The console's own backups of this target."""
    found = await asyncio.to_thread(Store(scene.backups).backups, scene.target.name)
    if not found:
        return {"backups": 0, "backup_text": "none", "directory_text": str(scene.backups)}
    newest = found[0]
    hours = (datetime.now(UTC) - newest.made_at).total_seconds() / 3600
    return {
        "backups": len(found),
        "backup_hours": hours,
        "backup_id": newest.id,
        "backup_verdict": newest.verdict.value,
        "backup_text": f"{newest.id}, {units.age(newest.made_at, datetime.now(UTC))},"
        f" {newest.verdict.value}",
        "directory_text": str(scene.backups),
    }


EVIDENCE: dict[str, Evidence] = {
    "connection": connection,
    "sessions": sessions,
    "blocking": blocking,
    "load": load,
    "timings": timings,
    "overview": overview,
    "operations": operations,
    "maintenance": maintenance,
    "checkpoints": checkpoints,
    "disk": disk,
    "wal": wal,
    "backups": backups,
}
"""What a step may `ask`."""
