"""Backups in words and as JSON: the same facts for the command line and the screens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from console.backup.jsonfile import encode
from console.backup.manifest import Copied, Proof, Verdict
from console.backup.policy import Retention
from console.backup.retention import Decision, expires_at
from console.backup.store import Backup
from console.units import age, count, duration, size


def as_json(backup: Backup, policy: Retention) -> dict[str, Any]:
    """All that is known of a backup, for programs."""
    expires = expires_at(backup, policy)
    return {
        "id": backup.id,
        "path": str(backup.path),
        "verdict": str(backup.verdict),
        "problem": backup.problem,
        "expires_at": expires.isoformat() if expires else None,
        "manifest": encode(backup.manifest) if backup.manifest else None,
        "record": encode(backup.record),
    }


def table(backups: Sequence[Backup], policy: Retention, now: datetime) -> str:
    """One line a backup."""
    return lined_up([row(backup, policy, now) for backup in backups])


def lined_up(rows: Sequence[tuple[str, ...]]) -> str:
    """A history's rows, as `row` makes them, under their headings."""
    head = ("ID", "TIER", "AGE", "SIZE", "TOOK", "VERIFIED", "DRILLED", "EXPIRES", "NOTE")
    rows = [head, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(r, widths, strict=True)) for r in rows
    )
    return "".join(line.rstrip() + "\n" for line in lines)


def row(backup: Backup, policy: Retention, now: datetime) -> tuple[str, ...]:
    """A backup's line of a history, a cell each."""
    manifest = backup.manifest
    expires = expires_at(backup, policy)
    tier = str(backup.tier or "?")
    when = age(backup.made_at, now)
    if manifest is None:
        return (backup.id, tier, when, "-", "-", "damaged", "-", "-", backup.problem)
    held = "held" if backup.record.held else None
    return (
        backup.id,
        tier,
        when,
        size(manifest.bytes),
        duration(manifest.seconds),
        verified(backup.verification),
        drilled(backup.drill),
        held or (age(expires, now) if expires else "-"),
        manifest.note or backup.problem,
    )


def verified(proof: Proof | None) -> str:
    """A verification in a word or three."""
    return "not yet" if proof is None else str(proof.verdict)


def drilled(proof: Proof | None) -> str:
    """A drill likewise, with how long its restore took."""
    if proof is None:
        return "not yet"
    if proof.verdict is Verdict.PASS:
        return f"pass, {duration(proof.restore_seconds)}"
    return str(proof.verdict)


def details(backup: Backup, policy: Retention, now: datetime) -> str:
    """Several lines: what it is of, what is in it, and each proof line by line."""
    manifest = backup.manifest
    lines = [f"{backup.id}: {backup.verdict}", f"directory    {backup.path}"]
    if manifest is None:
        return "\n".join([*lines, f"problem      {backup.problem}"]) + "\n"
    expires = expires_at(backup, policy)
    lines += [
        f"database     {manifest.database} at {manifest.place or 'unknown'} ({manifest.origin})",
        f"taken        {manifest.taken_at:%Y-%m-%d %H:%M:%S %Z} ({age(manifest.taken_at, now)})",
        f"server       PostgreSQL {manifest.server_version}, pg_dump {manifest.tools_version}",
        f"WAL position {manifest.wal_position or '-'}",
        f"migration    {manifest.migration or '-'}",
        f"rows         {count(manifest.row_total)} in {len(manifest.tables or ())} tables",
        f"made in      {duration(manifest.seconds)}, {manifest.compression}",
        f"expires      {age(expires, now) if expires else 'never by age'}",
    ]
    lines += [f"held         {'yes'}"] * backup.record.held
    lines += [f"note         {manifest.note}"] * bool(manifest.note)
    lines += [f"file         {f.name} {size(f.bytes)} sha256:{f.sha256}" for f in manifest.files]
    lines += [f"warning      {warning}" for warning in manifest.warnings]
    for proof in (backup.verification, backup.drill):
        lines += proof_lines(proof, now) if proof else []
    lines += [copy_line(copy, now) for copy in backup.record.copies]
    return "\n".join(lines) + "\n"


def proof_lines(proof: Proof, now: datetime) -> list[str]:
    """A proof's verdict and each of its checks."""
    where = f" on {proof.place}" if proof.place else ""
    restored = f", restored in {duration(proof.restore_seconds)}" if proof.restore_seconds else ""
    head = (
        f"{proof.kind:12} {proof.verdict}{where}, {age(proof.at, now)},"
        f" took {duration(proof.seconds)}{restored}"
    )
    return [head, *(f"  {check.verdict}: {check.what}: {check.answer}" for check in proof.checks)]


def copy_line(copy: Copied, now: datetime) -> str:
    """Whether a store has it, since when."""
    if copy.problem:
        return f"copy         {copy.store}: failed {age(copy.at, now)}: {copy.problem}"
    return f"copy         {copy.store}: whole, {size(copy.bytes)}, made {age(copy.at, now)}"


def plan(decisions: Sequence[Decision]) -> str:
    """One line a decision."""
    return "".join(
        f"{'keep' if decision.keep else 'remove':7} {decision.backup.id}  {decision.reason}\n"
        for decision in decisions
    )
