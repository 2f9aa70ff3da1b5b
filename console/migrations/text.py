"""Status, drift and rollback plans as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from console.migrations.drift import DATABASE, Comparison, Drift
from console.migrations.folder import Folder
from console.migrations.history import Entry, History
from console.migrations.rollback import RollbackPlan, loss_words
from console.report import printable


def status(folder: Folder, history: History) -> str:
    lines = [f"{history.verdict.value.upper()}  {history.summary}", f"folder: {folder.path}"]
    if history.problem is not None:
        lines += [history.problem.message, history.problem.hint]
    elif history.table is None:
        lines.append("There is no _prisma_migrations: Prisma never migrated this database.")
    if history.lock_holder is not None:
        lines.append(f"Backend {history.lock_holder} holds Prisma's lock: a migration runs now.")
    width = max((len(entry.name) for entry in history.entries), default=0)
    lines += [_entry_line(entry, width) for entry in history.entries]
    lines += folder.remarks
    fixes = dict.fromkeys(entry.fix for entry in history.entries if entry.fix)
    lines += [f"fix: {fix}" for fix in fixes]
    return _joined(lines)


def _entry_line(entry: Entry, width: int) -> str:
    line = f"  {entry.name:{width}}  {entry.state.value}"
    if entry.applied_at is not None:
        line += f"  {entry.applied_at:%Y-%m-%d %H:%M:%S}"
    if entry.attempts > 1:
        line += f"  {entry.attempts} attempts"
    return f"{line}  {entry.remark}" if entry.remark else line.rstrip()


def status_json(folder: Folder, history: History) -> str:
    document = {
        "verdict": history.verdict.value,
        "folder": str(folder.path),
        "table": str(history.table) if history.table else None,
        "problem": str(history.problem) if history.problem else None,
        "running_backend": history.lock_holder,
        "migrations": [
            {
                "name": entry.name,
                "state": entry.state.value,
                "started_at": entry.started_at.isoformat() if entry.started_at else None,
                "applied_at": entry.applied_at.isoformat() if entry.applied_at else None,
                "seconds": entry.seconds,
                "attempts": entry.attempts,
                "checksum_agrees": entry.checksum_agrees,
                "remark": entry.remark,
                "fix": entry.fix,
            }
            for entry in history.entries
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def drift(found: Drift) -> str:
    number = len(found.database.differences)
    replayed = f"{len(found.migrations)} migrations replayed on {found.place}"
    told = "no drift" if not number else f"{number} difference{'s' if number > 1 else ''}"
    lines = [f"{found.verdict.value.upper()}  {told}; {replayed} in {found.seconds:.1f} s"]
    lines += _comparison(found.database)
    if found.schema is not None:
        lines.append("")
        if not found.schema.differences:
            lines.append("schema.prisma agrees with the folder.")
        lines += _comparison(found.schema)
    return _joined(lines)


def _comparison(found: Comparison) -> Iterator[str]:
    yield from (f"note: {note}" for note in found.notes)
    for one in found.differences:
        seen = "" if one.seen_by_prisma else "  (Prisma does not look at this)"
        yield f"- {found.words(one)}{seen}"
    if not found.differences:
        return
    up, down = found.forward(), found.backward()
    if found.after_name == DATABASE:
        lost = "".join(f"-- Lost by it: {loss.what}\n" for loss in found.losses())
        yield f"\n-- To mend this database, run there:\n{lost}{down.text}"
        yield f"-- Or, as a new migration that says what is there:\n{up.text}"
    else:
        yield f"\n-- As a new migration that makes what schema.prisma says:\n{down.text}"
        yield f"-- Or edit schema.prisma, as if this had been run on what it says:\n{up.text}"


def comparison_json(found: Comparison) -> dict[str, Any]:
    return {
        "before": found.before_name,
        "after": found.after_name,
        "notes": list(found.notes),
        "differences": [
            {
                "kind": one.kind,
                "subject": one.subject,
                "message": found.words(one),
                "seen_by_prisma": one.seen_by_prisma,
                "changes": [
                    {"facet": c.facet, "before": c.before, "after": c.after} for c in one.changes
                ],
                "lost_by_mending": [loss.what for loss in found.losses(one)],
                "make_before_like_after": found.forward(one).text,
                "make_after_like_before": found.backward(one).text,
            }
            for one in found.differences
        ],
    }


def drift_json(found: Drift) -> str:
    document = {
        "verdict": found.verdict.value,
        "place": found.place,
        "seconds": found.seconds,
        "read_at": found.read_at.isoformat(),
        "migrations": list(found.migrations),
        "database": comparison_json(found.database),
        "schema_file": str(found.schema_file) if found.schema_file else None,
        "schema": comparison_json(found.schema) if found.schema is not None else None,
    }
    return json.dumps(document, indent=2) + "\n"


def plan(found: RollbackPlan) -> str:
    lines = [f"-- note: {note}" for note in found.notes]
    if found.drift:
        lines.append(
            f"-- The database has drifted, first {found.drift[0].subject}:"
            " it will not be run over that."
        )
    return _joined(lines) + found.text


def plan_json(found: RollbackPlan) -> str:
    document = {
        "back_to": found.name,
        "undone": list(found.undone),
        "place": found.place,
        "losses": [{"what": loss_words(one), "rows": one.rows} for one in found.losses],
        "by_hand": list(found.script.by_hand),
        "drift": [one.subject for one in found.drift],
        "notes": list(found.notes),
        "sql": found.text,
    }
    return json.dumps(document, indent=2) + "\n"


def _joined(lines: list[str]) -> str:
    shown = (part for line in lines for part in line.split("\n"))
    return "".join(f"{printable(line)}\n" for line in shown)
