"""The archive in words and in JSON, for the command line."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from console.backup import jsonfile
from console.findings import Severity, in_brief, worst
from console.pitr.audit import Audit, merged
from console.pitr.base import Base
from console.pitr.names import lsn, lsn_text
from console.pitr.retention import Plan
from console.pitr.side import Side
from console.pitr.status import Status
from console.pitr.stretch import Notable
from console.pitr.targets import Stop
from console.pitr.window import Window
from console.pitr.words import moment, precise
from console.units import age, count, duration, size

_SHOWN_NOTABLE = 20


def status_text(status: Status) -> str:
    """Verdict first, then the windows, the bases, the receiver, and what happened."""
    lines = [headline(status), ""]
    lines += [f"  {finding.severity}: {finding.message}" for finding in status.findings]
    lines += ["", "Recoverable"]
    lines += [f"  {line}" for line in map(window_line, status.windows)] or ["  nothing"]
    lines += ["", "Base backups"]
    lines += [f"  {base_line(base, status.at)}" for base in status.bases] or ["  none"]
    lines += ["", "WAL", f"  {wal_line(status)}"]
    if status.notable:
        lines += ["", "Notable moments"]
        lines += [f"  {notable_line(event)}" for event in status.notable[:_SHOWN_NOTABLE]]
    return "\n".join(lines) + "\n"


def headline(status: Status) -> str:
    """One line: how far back and how far forward one can go."""
    if not status.windows:
        return "Nothing can be recovered to a moment yet."
    last = status.windows[-1]
    lost = status.recovery_age
    behind = f", {duration(lost)} behind now" if lost is not None else ""
    words = f"Any moment from {moment(last.from_time)} to {moment(last.to_time)}{behind}."
    return words if worst(status.findings) is not Severity.FAILURE else f"{words} Not well:"


def window_line(window: Window) -> str:
    length = (window.to_time - window.from_time).total_seconds() if window.to_time else None
    return (
        f"{moment(window.from_time)} to {moment(window.to_time)}  {duration(length):>10}"
        f"  {lsn_text(window.from_lsn)} to {lsn_text(window.to_lsn)}"
        f"  timeline {window.run.history.timeline}, {len(window.bases)} base backups"
    )


def base_line(base: Base, now: datetime) -> str:
    if base.manifest is None:
        return f"{base.id}  damaged: {base.problem}"
    made = base.manifest
    drilled = base.drill.verdict if base.drill else "not drilled"
    return (
        f"{base.id:<29} {base.verdict:<17} {age(made.ended_at, now):>11} {size(made.bytes):>8}"
        f"  took {duration(made.seconds)}, {drilled}"
    )


def wal_line(status: Status) -> str:
    segments = sum(run.segments for run in status.audit.runs)
    rate = status.wal_bytes_a_day
    pace = f", {size(int(rate))} a day" if rate else ""
    return (
        f"{count(segments)} segments in {size(status.wal_bytes)}{pace};"
        f" {size(status.free_bytes)} free"
    )


def notable_line(event: Notable) -> str:
    """A moment that somebody may want to go back before, with how to name it."""
    return (
        f"{moment(event.at)}  {lsn_text(event.lsn):>12}"
        f"  {f'xid {event.xid}' if event.xid else '':<12}  {notable_words(event)}"
    )


def notable_words(event: Notable) -> str:
    table = event.name or f"a table (file {event.file})"
    return {
        "delete": f"{count(event.rows)} rows deleted from {table}",
        "drop": f"dropped: {event.name}",
        "truncate": f"emptied or rewritten: {event.name}",
        "drop database": f"database dropped: {event.name}",
        "restore point": f"restore point '{event.name}'",
        "migration": "a Prisma migration was recorded",
        "shutdown": "the server was shut down",
        "promotion": "the server was promoted",
    }[event.kind]


def audit_text(found: Audit) -> str:
    """Every trouble, then what is in order."""
    lines = [f"✗ {trouble.segment}: {trouble.problem}" for trouble in merged(found.troubles)]
    for run in found.runs:
        what = "read and hashed" if found.full else "looked at"
        lines.append(
            f"✓ {lsn_text(run.start)} to {lsn_text(run.end)}, timeline"
            f" {run.history.timeline}: {count(run.segments)} segments {what}"
        )
    return "\n".join(lines or ["There is no WAL yet."]) + "\n"


def as_json(status: Status) -> dict[str, Any]:
    """Everything, for scripts; positions as PostgreSQL writes them, times with their zone."""
    state = status.state
    return {
        "target": status.archive.target,
        "at": status.at.isoformat(),
        "verdict": str(worst(status.findings)),
        "directory": str(status.archive.directory),
        "receiving": status.receiver_pid is not None,
        "receiver": jsonfile.encode(state) if state else None,
        "recovery_point_age_seconds": status.recovery_age,
        "windows": [window_json(window) for window in status.windows],
        "bases": [base_json(base) for base in status.bases],
        "troubles": audit_json(status.audit)["troubles"],
        "slot": jsonfile.encode(status.sample) if status.sample else None,
        "wal_bytes": status.wal_bytes,
        "wal_bytes_a_day": status.wal_bytes_a_day,
        "free_bytes": status.free_bytes,
        "notable": [notable_json(event) for event in status.notable],
        "findings": in_brief(status.findings),
    }


def window_json(window: Window) -> dict[str, Any]:
    return {
        "from_time": window.from_time.isoformat(),
        "to_time": window.to_time.isoformat() if window.to_time else None,
        "from_lsn": lsn_text(window.from_lsn),
        "to_lsn": lsn_text(window.to_lsn),
        "timeline": window.run.history.timeline,
        "bases": [base.id for base in window.bases],
    }


def base_json(base: Base) -> dict[str, Any]:
    made = jsonfile.encode(base.manifest) if base.manifest else {"id": base.id}
    return {
        **made,
        "verdict": str(base.verdict),
        "problem": base.problem,
        "proofs": jsonfile.encode(base.record)["proofs"],
    }


def notable_json(event: Notable) -> dict[str, Any]:
    content: dict[str, Any] = jsonfile.encode(event)
    return {**content, "lsn": lsn_text(event.lsn), "words": notable_words(event)}


def audit_json(found: Audit) -> dict[str, Any]:
    return {
        "at": found.at.isoformat(),
        "full": found.full,
        "good": found.good,
        "runs": [
            {
                "from_lsn": lsn_text(run.start),
                "to_lsn": lsn_text(run.end),
                "timeline": run.history.timeline,
                "segments": run.segments,
            }
            for run in found.runs
        ],
        "troubles": [
            {
                **dataclasses.asdict(trouble),
                "start": lsn_text(trouble.start),
                "end": lsn_text(trouble.end),
            }
            for trouble in found.troubles
        ],
    }


def stop_text(stop: Stop) -> str:
    """What recovery will begin with and where it will stop."""
    made = stop.base.manifest
    where = "after" if stop.inclusive else "before"
    lines = [f"Recover to {stop.wanted.words}: stop {where} the record at {lsn_text(stop.lsn)}."]
    if stop.last_commit is not None:
        word = "last" if not stop.inclusive else "last known"
        lines.append(
            f"The {word} transaction in it is {stop.last_commit.xid}"
            f" of {precise(stop.last_commit.at)}."
        )
    if stop.remark:
        lines.append(stop.remark)
    if made is not None:
        lines.append(
            f"Begin with the base backup {stop.base.id} ({size(made.bytes)}, {stop.base.verdict}),"
            f" and replay {size(max(0, stop.lsn - lsn(made.start_lsn)))} of WAL."
        )
    return "\n".join(lines) + "\n"


def side_text(side: Side) -> str:
    """A side server, and how to look at it."""
    info = side.info
    lines = [f"{info.name}: {info.target} at {info.asked}"]
    if info.reached is not None:
        lines.append(f"  {info.reached.answer}; readable after {duration(info.reached.seconds)}")
    if not side.running:
        return "\n".join([*lines, "  it does not run"]) + "\n"
    lines += [
        f"  medianest-console --read-only --dsn '{side.dsn}'",
        f"  medianest-console pitr move --side {info.name} --to-time TIME   # another moment",
        f"  medianest-console pitr take --side {info.name}                  # into the live server",
        f"  medianest-console pitr drop --side {info.name}",
    ]
    return "\n".join(lines) + "\n"


def side_json(side: Side) -> dict[str, Any]:
    content: dict[str, Any] = jsonfile.encode(side.info)
    return {**content, "running": side.running, "dsn": side.dsn if side.running else None}


def drill_text(base: Base) -> str:
    """The drill's verdict, its checks and the measured time."""
    found = base.drill
    if found is None:
        return "There was no drill.\n"
    took = f", readable after {duration(found.restore_seconds)}" if found.restore_seconds else ""
    lines = [f"{found.verdict}: base backup {base.id}, {found.place}{took}"]
    lines += [f"  {check.verdict}: {check.what}: {check.answer}" for check in found.checks]
    return "\n".join(lines) + "\n"


def plan_text(plan: Plan) -> str:
    """What retention keeps and lets go, and why."""
    lines = [
        f"{'keep' if decision.keep else 'remove'}  {decision.base.id:<29}  {decision.reason}"
        for decision in plan.bases
    ]
    lines.append(
        f"{count(len(plan.wal))} WAL segments that no base backup needs;"
        f" {size(plan.freed_bytes)} in all"
    )
    return "\n".join(lines) + "\n"
